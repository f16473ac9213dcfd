"""Louder or quieter: audio times a drawn factor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np


@config
class Gain:
    """Changes the level. Of use to models that see the level at all: many feature extractors normalise it away."""

    p: float = 0.5
    """Share of the training utterances that are changed."""
    gain_db: tuple[float, float] = (-12.0, 6.0)
    """Range in dB, drawn uniformly. A gain that would clip is lowered until the loudest sample is at full scale."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        import numpy as np

        factor = 10.0 ** (draws.between(self.gain_db, rng) / 20.0)
        peak = float(np.abs(audio).max(initial=0.0))
        if factor > 1.0 and peak > 0.0:
            factor = max(1.0, min(factor, 1.0 / peak))
        return (audio * np.float32(factor)).astype(np.float32)

    def longest(self, duration: float) -> float:
        """The level changes, the length does not."""
        return duration

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is gained."""
        return "gain_db is 0 dB" if not any(self.gain_db) else None

    def findings(self) -> Iterator[Finding]:
        """A share that is none; gains that leave nothing."""
        yield from bounds.share(self.p)
        yield from bounds.within("gain_db", self.gain_db, -80, 80, "-12 to 6 is usual", unit="dB")
