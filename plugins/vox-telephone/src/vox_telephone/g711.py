"""Samples -> one byte each, and back: A-law and mu-law of ITU-T G.711, exactly.

The arithmetic is that of the standard's tables as the ITU's own software has it (ITU-T G.191, module G711): 16-bit
samples in and out, of which A-law uses the upper 13 and mu-law the upper 14. A byte is the sign, three bits of segment
(each twice as coarse as the one before) and four bits of place within it.
"""

from __future__ import annotations

import numpy as np

FULL_SCALE = 32768.0  # 16-bit samples of a float of 1.0


def a_law(samples: np.ndarray) -> np.ndarray:
    """int16 (N,) -> bytes, uint8 (N,); every second bit inverted, as on the line."""
    magnitude = np.where(samples < 0, ~samples, samples).astype(np.int32) >> 4
    segment = np.maximum(np.frexp(magnitude)[1] - 4, 0)  # 0 up to 15, 1 up to 31, 2 up to 63 …
    place = (magnitude >> np.maximum(segment - 1, 0)) & 0x0F
    return ((np.where(samples < 0, 0, 0x80) | (segment << 4) | place) ^ 0x55).astype(np.uint8)


def from_a_law(codes: np.ndarray) -> np.ndarray:
    """uint8 (N,) -> int16 (N,): the middle of the interval that a byte stands for."""
    bits = codes.astype(np.int32) ^ 0x55
    segment, place = (bits >> 4) & 7, bits & 0x0F
    magnitude = (((place + np.where(segment > 0, 16, 0)) << 4) + 8) << np.maximum(segment - 1, 0)
    return np.where(bits & 0x80, magnitude, -magnitude).astype(np.int16)


def mu_law(samples: np.ndarray) -> np.ndarray:
    """int16 (N,) -> bytes, uint8 (N,); all bits inverted, as on the line."""
    magnitude = np.minimum((np.where(samples < 0, ~samples, samples).astype(np.int32) >> 2) + 33, 0x1FFF)
    segment = np.frexp(magnitude)[1] - 6  # 0 from 33 to 63, 1 up to 127 …
    place = (magnitude >> (segment + 1)) & 0x0F
    return (~(np.where(samples < 0, 0x80, 0) | (segment << 4) | place)).astype(np.uint8)


def from_mu_law(codes: np.ndarray) -> np.ndarray:
    """uint8 (N,) -> int16 (N,): the middle of the interval that a byte stands for."""
    bits = ~codes.astype(np.int32)
    segment, place = (bits >> 4) & 7, bits & 0x0F
    magnitude = (((2 * place + 33) << segment) - 33) << 2
    return np.where(bits & 0x80, -magnitude, magnitude).astype(np.int16)


def through(audio: np.ndarray, law: str) -> np.ndarray:
    """float32 (N,) in [-1, 1] -> what comes out of the other end, float32 (N,); what is louder is cut off."""
    samples = np.clip(np.rint(audio * FULL_SCALE), -32768, 32767).astype(np.int16)
    heard = from_a_law(a_law(samples)) if law == "a" else from_mu_law(mu_law(samples))
    return (heard / FULL_SCALE).astype(np.float32)
