"""Filters without delay, and convolution: both by one Fourier transform of the whole clip."""

from __future__ import annotations

import numpy as np

_MARGIN = 0.1  # s of silence around a clip, in which a filter may ring


def convolved(audio: np.ndarray, response: np.ndarray) -> np.ndarray:
    """(N,) and (M,) -> (N + M - 1,), float32."""
    if not len(audio) or not len(response):
        return np.zeros(0, dtype=np.float32)
    length = len(audio) + len(response) - 1
    size = quick_size(length)
    made = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)
    return made[:length].astype(np.float32)


def band_limited(audio: np.ndarray, sampling_rate: int, *, low: float = 0.0, high: float = np.inf) -> np.ndarray:
    """(N,) -> (N,), float32: what lies between `low` and `high` Hz, without delay.

    Half the amplitude at an edge; a sixth of an octave on either side of it everything or nothing.
    """
    margin = int(_MARGIN * sampling_rate)
    size = quick_size(len(audio) + 2 * margin)
    spectrum = np.fft.rfft(np.pad(audio, (margin, size - len(audio) - margin)))
    frequencies = np.maximum(np.fft.rfftfreq(size, 1.0 / sampling_rate), 1e-3)
    if low > 0:
        spectrum *= _edge(np.log2(frequencies / low))
    if np.isfinite(high):
        spectrum *= _edge(np.log2(high / frequencies))
    return np.fft.irfft(spectrum, size)[margin : margin + len(audio)].astype(np.float32)


def quick_size(length: int) -> int:
    """The smallest 2^a, 3·2^a or 5·2^a from `length` on: sizes whose transform is quick."""
    power = 1 << max(0, int(length) - 1).bit_length()
    return min(size for size in (power, 3 * power // 4, 5 * power // 8) if size >= length)


def _edge(octaves: np.ndarray) -> np.ndarray:
    """Gain, by the distance from an edge into the band, octaves: a raised cosine from -1/6 to 1/6."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(octaves * 3.0 + 0.5, 0.0, 1.0))
