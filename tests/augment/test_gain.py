"""Levels, measured."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.augment.gain import Gain

TONE = (0.1 * np.sin(np.linspace(0, 400, 8000))).astype(np.float32)


def test_the_level_changes_by_what_is_drawn():
    changed = Gain(gain_db=(-6.0, -6.0))(TONE, 16000, np.random.default_rng(0))
    assert 20 * np.log10(np.abs(changed).max() / np.abs(TONE).max()) == pytest.approx(-6.0, abs=1e-3)
    assert changed.dtype == np.float32


def test_draws_stay_in_the_range_and_follow_the_generator():
    gain = Gain(gain_db=(6.0, -12.0))
    levels = [
        20 * np.log10(np.abs(gain(TONE, 16000, np.random.default_rng(seed))).max() / np.abs(TONE).max())
        for seed in range(50)
    ]
    assert min(levels) >= -12.001
    assert max(levels) <= 6.001
    assert max(levels) - min(levels) > 10
    assert np.array_equal(gain(TONE, 16000, np.random.default_rng(3)), gain(TONE, 16000, np.random.default_rng(3)))


def test_it_never_clips():
    loud = TONE * 9.5
    assert np.abs(Gain(gain_db=(20.0, 20.0))(loud, 16000, np.random.default_rng(0))).max() == pytest.approx(1.0)
    over = TONE * 12
    assert np.array_equal(Gain(gain_db=(6.0, 6.0))(over, 16000, np.random.default_rng(0)), over)


def test_silence_and_nothing():
    for audio in (np.zeros(100, dtype=np.float32), np.zeros(0, dtype=np.float32)):
        assert np.array_equal(Gain()(audio, 16000, np.random.default_rng(0)), audio)


def test_findings():
    assert [f.path for f in Gain(p=1.5).findings()] == [("p",)]
    assert list(Gain().findings()) == []
    assert Gain().longest(3.0) == 3.0
