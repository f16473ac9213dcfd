"""Powers, ratios, lengths."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.audio.level import decibels, fitted, mixed, of_length, power, within_full_scale

RANDOM = np.random.default_rng(0)
SPEECH = (0.05 * RANDOM.standard_normal(8000)).astype(np.float32)
NOISE = (0.3 * RANDOM.standard_normal(8000)).astype(np.float32)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_the_ratio_is_reached(snr: float) -> None:
    both = mixed(SPEECH, NOISE, snr)
    assert decibels(power(SPEECH) / power(both.astype(np.float64) - SPEECH)) == pytest.approx(snr, abs=0.01)


def test_a_loud_sum_is_scaled_not_clipped() -> None:
    both = mixed(SPEECH * 10, NOISE, 0.0)
    assert np.abs(both).max() == pytest.approx(1.0)
    assert (np.abs(both) > 0.999).sum() == 1
    assert within_full_scale(SPEECH) is SPEECH


def test_lengths() -> None:
    ramp = np.arange(10, dtype=np.float32)
    assert fitted(ramp, 4, 0.5).tolist() == [3, 4, 5, 6]
    assert fitted(ramp[:4], 10, 0.5).tolist() == [2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
    assert of_length(ramp, 3).tolist() == [0, 1, 2]
    assert of_length(ramp[1:3], 4).tolist() == [1, 2, 0, 0]


def test_nothing_has_no_level() -> None:
    assert power(np.zeros(0, dtype=np.float32)) == 0.0
    assert decibels(0.0) == float("-inf")
