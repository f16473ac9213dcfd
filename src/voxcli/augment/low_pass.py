"""Dull: nothing above a drawn frequency, as from a wideband line, a cheap microphone or a coarse MP3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np


@config
class LowPass:
    """Takes away what lies above a frequency, without delay."""

    p: float = 0.2
    """Share of the training utterances that are filtered."""
    cutoff: tuple[float, float] = (2500.0, 7000.0)
    """Range in Hz, drawn uniformly: half the amplitude there, nothing from an eighth above it on."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        from voxcli.audio.spectrum import band_limited

        return band_limited(audio, sampling_rate, high=draws.between(self.cutoff, rng))

    def longest(self, duration: float) -> float:
        """A filter lengthens nothing."""
        return duration

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is there to take away."""
        if min(self.cutoff) <= sampling_rate / 2:
            return None
        return f"audio of {sampling_rate} Hz has nothing above {sampling_rate / 2:g} Hz, and cutoff begins higher"

    def findings(self) -> Iterator[Finding]:
        """A share that is none; frequencies that leave no speech."""
        yield from bounds.share(self.p)
        yield from bounds.within("cutoff", self.cutoff, 100, 96000, "speech needs 2500 and more", unit="Hz")
