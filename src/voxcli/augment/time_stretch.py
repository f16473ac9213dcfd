"""Quicker or slower speech, the pitch kept: tempo, as another speaking rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np


@config
class TimeStretch:
    """Changes the speaking rate and keeps the voice (WSOLA). Slow clips need room: 1 / factor times as much."""

    scales_time: ClassVar[bool] = True

    p: float = 0.5
    """Share of the training utterances that are changed."""
    factors: tuple[float, float] = (0.85, 1.15)
    """Range of the factor, drawn uniformly. Below 1 is slower and longer."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (round(N / factor),)."""
        from voxcli.audio.stretch import stretched

        return stretched(audio, draws.between(self.factors, rng), sampling_rate)

    def longest(self, duration: float) -> float:
        """The length at the slowest factor, s."""
        return duration / min(*self.factors, 1.0)

    def shortest(self, duration: float) -> float:
        """The length at the highest factor, s."""
        return duration / max(*self.factors, 1.0)

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is stretched."""
        return "every factor is 1.0" if set(self.factors) == {1.0} else None

    def findings(self) -> Iterator[Finding]:
        """A share that is none; factors that are no speech any more."""
        yield from bounds.share(self.p)
        yield from bounds.within("factors", self.factors, 0.25, 4, "0.85 to 1.15 still sounds like speech")
