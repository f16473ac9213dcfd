"""Impulse responses of rooms: where one begins and ends, how long it rings, and one that is computed for a room.

The computed one takes its first reflections from the image sources of a rectangular room (Allen and Berkley, JASA
1979), and from where they come every other sample it is noise, which is what thousands of reflections sum up to (Polack
1988). Both decay by 60 dB in the reverberation time asked for; the noise has the power that the images of that room
would have. Images alone, to the end of a long reverberation, take seconds a room.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SOUND = 343.0
"""m/s, in air at 20 °C."""
_DENSE = 0.5  # reflections a sample from which they are noise
_EARLY = 0.060  # s of single reflections at most: a hall's come late, and are many by then
_CUT = 1e-6  # share of a response's energy, -60 dB, that its end is cut at


class Room(NamedTuple):
    """A rectangular room with a source and a microphone in it."""

    size: np.ndarray
    """Sides, m, shape (3,)."""
    source: np.ndarray
    """m from a corner, (3,), as the next."""
    microphone: np.ndarray


def response(room: Room, t60: float, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
    """The room's impulse response, (M,) float32, direct sound of amplitude 1 at its place in time.

    `t60`: s until the reverberation has lost 60 dB. The noise of the late part is drawn from `rng`.
    """
    distance = float(np.linalg.norm(room.source - room.microphone))
    volume = float(np.prod(room.size))
    # images a second at t: 4 pi c^3 t^2 / V, each of amplitude 1 / (c t): their power does not depend on t
    dense = np.sqrt(_DENSE * sampling_rate * volume / (4.0 * np.pi * SOUND**3))
    deviation = np.sqrt(4.0 * np.pi * SOUND / (volume * sampling_rate))
    begin = int(max(min(dense, _EARLY), distance / SOUND + 0.002) * sampling_rate)
    length = max(begin, int((distance / SOUND + t60) * sampling_rate)) + 1
    delays, gains = _images(room, (begin - 1) / sampling_rate)
    at = np.rint(delays * sampling_rate).astype(np.int64)
    made: np.ndarray = np.bincount(at, weights=gains, minlength=length)[:length]
    made[begin:] += deviation * rng.standard_normal(length - begin)
    seconds = np.maximum(np.arange(length) / sampling_rate - distance / SOUND, 0.0)
    return (made * distance * 10.0 ** (-3.0 * seconds / t60)).astype(np.float32)


def direct(impulse: np.ndarray) -> int:
    """The sample at which the direct sound of a response (M,) arrives: the first of at least half the largest."""
    size = np.abs(impulse)
    return int(np.argmax(size >= 0.5 * size.max(initial=0.0)))


def audible(impulse: np.ndarray) -> np.ndarray:
    """A response (M,) from its direct sound on, to where all but a millionth of its energy has passed."""
    impulse = impulse[direct(impulse) :]
    left = np.cumsum(np.square(impulse[::-1], dtype=np.float64))[::-1]
    return impulse[: int((left > _CUT * left[0]).sum())] if len(left) and left[0] > 0 else impulse[:0]


def reverberation_time(impulse: np.ndarray, sampling_rate: int) -> float:
    """s until a response (M,) has lost 60 dB, from the slope between -5 and -25 dB of what is left (Schroeder 1965).

    NaN where it does not lose 25 dB.
    """
    left = np.cumsum(np.square(impulse[::-1], dtype=np.float64))[::-1]
    if not len(left) or left[0] <= 0:
        return float("nan")
    level = 10.0 * np.log10(np.maximum(left / left[0], 1e-30))
    begin, end = int(np.argmax(level <= -5.0)), int(np.argmax(level <= -25.0))
    if end <= begin:
        return float("nan")
    slope = np.polyfit(np.arange(begin, end) / sampling_rate, level[begin:end], 1)[0]
    return float(-60.0 / slope)


def _images(room: Room, until: float) -> tuple[np.ndarray, np.ndarray]:
    """Arrivals (s) and amplitudes (1 / m) of the source and of its mirror images heard `until` s, shape (images,)."""
    axes = []
    for side, source, microphone in zip(room.size, room.source, room.microphone, strict=True):
        most = int(np.ceil(until * SOUND / (2.0 * side))) + 1
        shifts = 2.0 * side * np.arange(-most, most + 1)
        axes.append(np.concatenate([shifts + source, shifts - source]) - microphone)
    x, y, z = (np.square(axis) for axis in axes)
    distance = np.sqrt(x[:, None, None] + y[None, :, None] + z[None, None, :]).ravel()
    distance = distance[distance <= until * SOUND]
    return distance / SOUND, 1.0 / np.maximum(distance, 0.1)
