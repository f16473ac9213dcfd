"""A stretch of a long clip instead of all of it: what training sees when no text has to fit the audio."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from voxcli.api import config

if TYPE_CHECKING:
    import numpy as np


@config
class Crop:
    """At most `duration` s of a clip. An augmentation, so that what it draws follows from seed, epoch and utterance."""

    p: float = 1.0
    of: Callable[[], float]
    """How many s: asked when the first clip comes, since a model's window stands in its config."""
    where: Literal["random", "centre"] = "random"

    @property
    def duration(self) -> float:
        """s."""
        return self.of()

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (M,), M at most `duration`; shorter clips stay as they are."""
        length = max(1, round(self.duration * sampling_rate))
        if len(audio) <= length:
            return audio
        room = len(audio) - length
        begin = int(rng.integers(0, room + 1)) if self.where == "random" else room // 2
        return audio[begin : begin + length]

    def longest(self, duration: float) -> float:
        """Never longer than the stretch."""
        return min(duration, self.duration)

    def shortest(self, duration: float) -> float:
        """The same: nothing else changes the length."""
        return min(duration, self.duration)
