"""Bands and convolution, measured."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.audio.spectrum import band_limited, convolved, quick_size

RATE = 16000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


def level(audio: np.ndarray, low: float, high: float) -> float:
    """Mean power of the band, dB; windowed, so that the clip's edges do not count as sound."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean()))


def test_the_band_passes_and_the_rest_does_not() -> None:
    limited = band_limited(NOISE, RATE, low=300, high=3400)
    assert len(limited) == len(NOISE)
    assert limited.dtype == np.float32
    assert level(limited, 400, 3000) == pytest.approx(level(NOISE, 400, 3000), abs=0.1)
    for low, high in ((20, 240), (4000, 8000)):
        assert level(limited, low, high) < level(NOISE, low, high) - 50


def test_an_edge_halves_the_amplitude_and_delays_nothing() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    assert np.allclose(band_limited(tone, RATE, high=1000)[2000:-2000], tone[2000:-2000] / 2, atol=2e-3)
    assert np.allclose(band_limited(tone, RATE, high=2000)[2000:-2000], tone[2000:-2000], atol=1e-4)


def test_convolution_is_that_of_numpy() -> None:
    response = np.random.default_rng(1).standard_normal(300).astype(np.float32)
    assert np.allclose(convolved(NOISE[:2000], response), np.convolve(NOISE[:2000], response), atol=1e-5)
    assert len(convolved(NOISE[:0], response)) == 0


def test_sizes_are_quick_and_large_enough() -> None:
    for length in (1, 2, 3, 5, 97, 1000, 1025, 16001, 160000):
        size = quick_size(length)
        assert length <= size < max(2, 1.34 * length + 1)
        while size % 2 == 0:
            size //= 2
        assert size in (1, 3, 5)
