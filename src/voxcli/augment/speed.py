"""Faster or slower with the pitch, by resampling: the speed perturbation of Ko et al., Interspeech 2015."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np


@config
class Speed:
    """Plays the audio at another speed. The text stays the same. Slow clips need room: 1 / factor times as much."""

    scales_time: ClassVar[bool] = True

    p: float = 1.0
    """Share of the training utterances that draw a factor; a drawn 1.0 changes nothing."""
    factors: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Factors, each as likely as the others. Below 1 is slower, lower and longer."""
    factor_range: tuple[float, float] | None = None
    """Draw uniformly from this range instead of `factors`."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (round(N / factor),)."""
        import numpy as np
        import soxr

        if self.factor_range is not None:
            factor = draws.between(self.factor_range, rng)
        else:
            factor = self.factors[int(rng.integers(len(self.factors)))]
        if factor == 1.0 or not len(audio):
            return audio
        changed = soxr.resample(audio, sampling_rate * factor, sampling_rate, quality="HQ")
        return np.asarray(changed, dtype=np.float32)

    def longest(self, duration: float) -> float:
        """The length at the slowest factor, s."""
        slowest = min(self.factor_range if self.factor_range is not None else self.factors)
        return duration / min(slowest, 1.0)

    def shortest(self, duration: float) -> float:
        """The length at the highest factor, s."""
        quickest = max(self.factor_range if self.factor_range is not None else self.factors)
        return duration / max(quickest, 1.0)

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is played at another speed."""
        return "every factor is 1.0" if set(self.factor_range or self.factors) == {1.0} else None

    def findings(self) -> Iterator[Finding]:
        """A share that is none; factors that are no speed."""
        yield from bounds.share(self.p)
        key = "factors" if self.factor_range is None else "factor_range"
        factors = self.factors if self.factor_range is None else self.factor_range
        if not factors:
            yield Finding("error", "factors is empty", "for example factors = [0.9, 1.0, 1.1]", path=(key,))
        yield from bounds.within(key, factors, 0.25, 4, "0.9 to 1.1 still sounds like speech")
