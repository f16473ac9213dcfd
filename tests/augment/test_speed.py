"""Speeds: length and pitch, measured."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.augment.speed import Speed

RATE = 16000
TONE = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_length_and_pitch(factor):
    changed = Speed(factors=(factor,))(TONE, RATE, np.random.default_rng(0))
    assert abs(len(changed) - len(TONE) / factor) <= 1
    assert changed.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
    assert np.argmax(spectrum) * RATE / len(changed) == pytest.approx(440 * factor, abs=1.0)


def test_each_factor_comes_up():
    speed = Speed(factors=(0.9, 1.0, 1.1))
    lengths = {len(speed(TONE, RATE, np.random.default_rng(seed))) for seed in range(30)}
    assert len(lengths) == 3
    assert len(TONE) in lengths


def test_a_range_wins_over_factors():
    speed = Speed(factor_range=(0.8, 1.25))
    lengths = [len(speed(TONE, RATE, np.random.default_rng(seed))) for seed in range(30)]
    assert len(set(lengths)) > 20
    assert max(lengths) / RATE <= speed.longest(2.0)
    assert min(lengths) >= len(TONE) / 1.25 - 1


def test_longest():
    assert Speed(factors=(0.8, 1.2)).longest(4.0) == 5.0
    assert Speed(factors=(1.1, 1.2)).longest(4.0) == 4.0  # it need not be drawn at all


def test_very_short_audio():
    assert len(Speed(factors=(0.9,))(np.zeros(0, dtype=np.float32), RATE, np.random.default_rng(0))) == 0
    assert len(Speed(factors=(1.1,))(TONE[:160], RATE, np.random.default_rng(0))) > 100


@pytest.mark.parametrize(
    ("keys", "path"),
    [({"factors": ()}, "factors"), ({"factors": (0.0,)}, "factors"), ({"factor_range": (1.0, 9.0)}, "factor_range")],
)
def test_findings(keys, path):
    assert [f.path for f in Speed(**keys).findings()] == [(path,)]
    assert list(Speed().findings()) == []


def test_shortest():
    assert Speed(factors=(0.8, 1.25)).shortest(4.0) == 3.2
    assert Speed(factors=(0.8, 0.9)).shortest(4.0) == 4.0  # it need not be drawn at all
    assert Speed(factor_range=(0.9, 1.6)).shortest(4.0) == 2.5
