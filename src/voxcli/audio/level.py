"""How loud audio is, and one sound mixed under another at a wanted ratio."""

from __future__ import annotations

import numpy as np

SILENCE = 1e-10
"""Mean power below which audio counts as silent: -100 dB of full scale."""


def power(audio: np.ndarray) -> float:
    """Mean square of samples (N,)."""
    return float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0


def decibels(ratio: float) -> float:
    """A ratio of powers in dB; -inf for none."""
    return 10.0 * float(np.log10(ratio)) if ratio > 0 else float("-inf")


def mixed(audio: np.ndarray, under: np.ndarray, snr_db: float) -> np.ndarray:
    """(N,) and (N,) -> (N,): `under` scaled so that the ratio of the mean powers is `snr_db`, both audible.

    A sum beyond full scale is scaled as a whole, not clipped: the ratio stays.
    """
    scale = np.sqrt(power(audio) / (10.0 ** (snr_db / 10.0) * power(under)))
    return within_full_scale(audio + under * np.float32(scale))


def within_full_scale(audio: np.ndarray) -> np.ndarray:
    """(N,) -> (N,), float32: scaled down as a whole where a sample lies beyond 1."""
    peak = float(np.abs(audio).max(initial=0.0))
    return (audio / peak if peak > 1.0 else audio).astype(np.float32, copy=False)


def fitted(audio: np.ndarray, length: int, place: float) -> np.ndarray:
    """(M,) -> (length,): cut, or repeated from a point `place` (0 to 1) of the way through."""
    if len(audio) >= length:
        begin = int(place * (len(audio) - length))
        return audio[begin : begin + length]
    return np.resize(np.roll(audio, -int(place * len(audio))), length)


def of_length(audio: np.ndarray, length: int) -> np.ndarray:
    """(M,) -> (length,): cut, or silence after it."""
    return audio[:length] if len(audio) >= length else np.pad(audio, (0, length - len(audio)))
