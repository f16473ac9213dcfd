"""Overdriven: the loudest samples are cut off at one level, as by a microphone set too high."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds

if TYPE_CHECKING:
    import numpy as np


@config
class Clipping:
    """Cuts off the peaks. The level of what is below them stays."""

    p: float = 0.2
    """Share of the training utterances that are clipped."""
    clipped: tuple[float, float] = (0.001, 0.05)
    """Range of the share of samples that lie above the level cut at; each order of magnitude is as likely."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        import numpy as np

        low, high = np.log(sorted(max(share, 1e-6) for share in self.clipped))
        share = float(np.exp(rng.uniform(low, high)))
        if not len(audio):
            return audio
        ceiling = np.float32(np.quantile(np.abs(audio), 1.0 - share))
        return np.clip(audio, -ceiling, ceiling) if ceiling > 0 else audio

    def longest(self, duration: float) -> float:
        """Samples are cut in height, not in number."""
        return duration

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is cut off."""
        return "clipped is 0" if not any(self.clipped) else None

    def findings(self) -> Iterator[Finding]:
        """Shares that are none."""
        yield from bounds.share(self.p)
        yield from bounds.within("clipped", self.clipped, 0, 0.5, "0.001 to 0.05: a twentieth of the samples is harsh")
