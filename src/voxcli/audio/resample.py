"""Samples at any rate and with any number of channels -> mono at the wanted rate.

Mono is the mean of the channels: no channel is dropped, and equal channels keep their level. The rate is changed by
soxr at its high quality (https://github.com/dofuuz/python-soxr): linear phase, stop band at -120 dB.
"""

from __future__ import annotations

import numpy as np


def mono(samples: np.ndarray) -> np.ndarray:
    """(N,) or (N, channels) of any float or integer type -> float32 (N,), integers scaled to [-1, 1)."""
    if samples.dtype.kind == "u":  # unsigned samples lie around the middle of their range, as in 8-bit WAV
        half = float(2 ** (8 * samples.dtype.itemsize - 1))
        samples = (samples.astype(np.float32) - half) / half
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / float(2 ** (8 * samples.dtype.itemsize - 1))
    if samples.ndim == 2:
        samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(samples, dtype=np.float32)


def resample(audio: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    """float32 (N,) at `rate` Hz -> float32 (M,) at `sampling_rate` Hz, M = N * sampling_rate / rate, rounded."""
    if rate == sampling_rate or len(audio) == 0:
        return audio
    import soxr

    changed: np.ndarray = soxr.resample(audio, rate, sampling_rate, quality="HQ")
    return changed
