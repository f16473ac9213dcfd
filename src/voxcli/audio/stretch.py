"""Quicker or slower with the pitch kept: WSOLA (Verhelst and Roelands, ICASSP 1993).

Frames of 32 ms are laid every 16 ms; each is taken where, around its place in the original, the audio continues the
frame before it best. Speech keeps its periods and so its pitch; nothing is drawn at random.
"""

from __future__ import annotations

import numpy as np

_HOP = 0.016  # s between frames in what comes out
_SEARCH = 0.010  # s to either side of a frame's place: the period of a low voice


def stretched(audio: np.ndarray, factor: float, sampling_rate: int) -> np.ndarray:
    """(N,) -> (round(N / factor),), float32; a factor above 1 is quicker."""
    length = round(len(audio) / factor)
    if factor == 1.0 or not length:
        return audio[:length].astype(np.float32, copy=True)
    hop, search = max(2, int(_HOP * sampling_rate)), max(1, int(_SEARCH * sampling_rate))
    size = 2 * hop
    count = length // hop + 2
    ahead = hop + search
    room = ahead + int(count * hop * max(factor, 1.0)) + size + 2 * search
    padded = np.zeros(max(room, ahead + len(audio) + size), dtype=np.float32)
    padded[ahead : ahead + len(audio)] = audio
    energy = np.cumsum(np.concatenate([[0.0], np.square(padded, dtype=np.float64)]))
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    made = np.zeros(count * hop + size, dtype=np.float32)
    at = ahead - hop
    for number in range(count):
        if number:
            # frame `number` begins at its place less half a frame: its middle stands where it is heard
            place = ahead - hop + round(number * hop * factor)
            at = place - search + _continuation(padded, energy, at + hop, place - search, size, 2 * search + 1)
        made[number * hop : number * hop + size] += window * padded[at : at + size]
    return made[hop : hop + length]


def _continuation(padded: np.ndarray, energy: np.ndarray, after: int, begin: int, size: int, places: int) -> int:
    """Which of `places` starts from `begin` on continues the audio as it stands at `after`: normalised correlation."""
    wanted = padded[after : after + size]
    if not wanted.any():
        return places // 2
    match = np.correlate(padded[begin : begin + size + places - 1], wanted, "valid")
    power = energy[begin + size : begin + size + places] - energy[begin : begin + places]
    return int(np.argmax(match / np.sqrt(np.maximum(power, 1e-12))))
