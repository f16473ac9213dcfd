"""Frames of a recording -> an estimate of its ratio of speech to steady noise.

The quietest tenth of the frames stands for the noise, the louder seven tenths for speech and noise together. Measured
on 120 English prompts with white and pink noise added at 0 to 20 dB: within 2 dB for white, 5 dB for pink noise. Noise
that comes and goes is not found, and a clip without a pause, or shorter than SHORTEST, gives no estimate worth having.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME = 0.02  # s
QUIET, LOUD = 0.1, 0.7  # shares of the frames
SHORTEST = 1.0  # s
LEAST = 1e-14  # power that stands for digital silence: -140 dB


class Powers:
    """Power of each frame of a recording that comes in pieces."""

    def __init__(self) -> None:
        self._frames: list[NDArray[np.float64]] = []
        self._seconds = 0.0

    def add(self, samples: NDArray[np.float32], rate: int) -> None:
        """(N,) or (N, channels), which are mixed."""
        mixed = samples.mean(axis=1, dtype=np.float64) if samples.ndim == 2 else samples.astype(np.float64)
        frame = max(1, round(FRAME * rate))
        self._seconds += len(mixed) / rate
        whole = mixed[: len(mixed) // frame * frame].reshape(-1, frame)
        self._frames.append(np.square(np.nan_to_num(whole)).mean(axis=1))

    def snr(self) -> float | None:
        """dB; None where the recording is too short to tell."""
        powers = np.sort(np.concatenate([np.zeros(0), *self._frames]))
        if self._seconds < SHORTEST or not len(powers):
            return None
        powers = np.maximum(powers, LEAST)
        noise = float(powers[: max(1, int(len(powers) * QUIET))].mean())
        both = float(powers[int(len(powers) * (1 - LOUD)) :].mean())
        return 10.0 * float(np.log10(max(both - noise, LEAST) / noise))
