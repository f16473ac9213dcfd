"""Lengths and pitches of stretched audio."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.audio.stretch import stretched

RATE = 16000
TIME = np.arange(RATE) / RATE
TONE = (0.5 * np.sin(2 * np.pi * 220 * TIME)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_the_length_changes_and_the_pitch_does_not(factor: float) -> None:
    changed = stretched(TONE, factor, RATE)
    assert len(changed) == round(RATE / factor)
    assert changed.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed)), 4 * RATE))
    assert np.argmax(spectrum) / 4 == pytest.approx(220, abs=1.0)
    assert changed[1000:-1000].std() == pytest.approx(TONE.std(), rel=0.03)


def test_what_happens_stays_in_its_order_and_place() -> None:
    """A click a third of the way through is a third of the way through."""
    clicks = np.zeros(RATE, dtype=np.float32)
    clicks[RATE // 3 : RATE // 3 + 160] = np.random.default_rng(0).standard_normal(160)
    for factor in (0.8, 1.25):
        changed = stretched(clicks, factor, RATE)
        middle = float((np.arange(len(changed)) * changed**2).sum() / (changed**2).sum())
        assert middle / len(changed) == pytest.approx(1 / 3, abs=0.02)


def test_short_and_empty_clips() -> None:
    assert len(stretched(TONE[:0], 1.1, RATE)) == 0
    assert len(stretched(TONE[:50], 0.9, RATE)) == round(50 / 0.9)
    assert np.array_equal(stretched(TONE, 1.0, RATE), TONE)
    assert not stretched(np.zeros(4000, dtype=np.float32), 1.1, RATE).any()
