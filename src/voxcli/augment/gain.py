"""Louder or quieter: audio times a drawn factor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config

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

        low, high = sorted(self.gain_db)
        factor = 10.0 ** (rng.uniform(low, high) / 20.0)
        peak = float(np.abs(audio).max(initial=0.0))
        if factor > 1.0 and peak > 0.0:
            factor = max(1.0, min(factor, 1.0 / peak))
        return (audio * np.float32(factor)).astype(np.float32)

    def longest(self, duration: float) -> float:
        """The level changes, the length does not."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A share that is none."""
        if not 0.0 <= self.p <= 1.0:
            yield Finding("error", f"p = {self.p:g} is no share", "between 0 (never) and 1 (always)", path=("p",))
