"""Samples that must not reach a model, and the words for them."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.data.preparation import LOUDEST, unusable


def clip(**samples: float) -> np.ndarray:
    audio = np.zeros(16_000, np.float32)
    for place, value in samples.items():
        audio[int(place[1:])] = value
    return audio


@pytest.mark.parametrize("value", [0.0, 1.0, -1.2, 32_768.0, -(2.0**31), LOUDEST])
def test_whatever_a_format_can_hold_is_left_to_the_checks(value: float) -> None:
    assert unusable(clip(s7=value)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_counted(value: float) -> None:
    assert unusable(clip(s0=value, s5=value, s9=0.5)) == "2 of 16000 samples are not numbers"


@pytest.mark.parametrize("value", [1e30, -1e30])
def test_an_amplitude_that_would_overflow(value: float) -> None:
    assert unusable(clip(s3=value)) == "its samples reach 1e+30, and audio lies within -1 and 1"
    assert not np.isfinite(np.square(clip(s3=value)).sum())
    assert np.isfinite(np.square(np.full(16_000 * 600, LOUDEST, np.float32)).sum())
