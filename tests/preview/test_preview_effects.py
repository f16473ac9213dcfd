"""What is said of a change, measured on changes that are known."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.preview.effects import effect, ratio

RATE = 8000
CLIP = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
NOISE = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)


def test_levels_lengths_and_peaks() -> None:
    found = effect("gain", 0.5, True, CLIP, CLIP[: RATE // 2] * 2, RATE)
    assert (found.name, found.before, found.after, found.unchanged) == ("gain", 1.0, 0.5, False)
    assert found.level_before == pytest.approx(-20, abs=0.2)
    assert found.level_after == pytest.approx(-14, abs=0.3)
    assert found.peak == pytest.approx(2 * np.abs(CLIP[: RATE // 2]).max())
    assert effect("gain", 0.5, True, CLIP, CLIP.copy(), RATE).unchanged


@pytest.mark.parametrize("snr", [-3.0, 10.0, 30.0])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_the_ratio_at_any_level(snr: float, scale: float) -> None:
    noise = NOISE - CLIP * float(NOISE @ CLIP) / float(CLIP @ CLIP)  # nothing of the clip in it
    noise *= np.sqrt((CLIP @ CLIP) / (noise @ noise) / 10 ** (snr / 10))
    assert ratio(CLIP, scale * (CLIP + noise)) == pytest.approx(snr, abs=0.01)


def test_no_ratio_where_there_is_none() -> None:
    assert ratio(CLIP, CLIP[:-1]) is None
    assert ratio(CLIP, CLIP * np.float32(0.5)) is None
    assert ratio(CLIP, NOISE) is None
    assert ratio(np.zeros(8, dtype=np.float32), CLIP[:8]) is None
