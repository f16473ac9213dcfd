"""Higher or lower, the length kept: stretched in time, then played at another speed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np


@config
class Pitch:
    """Shifts the pitch, and the formants with it: another size of speaker. The length stays."""

    p: float = 0.5
    """Share of the training utterances that are changed."""
    semitones: tuple[float, float] = (-2.0, 2.0)
    """Range in semitones, drawn uniformly; 12 are an octave. Above 0 is higher."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        import numpy as np
        import soxr

        from voxcli.audio.level import of_length
        from voxcli.audio.stretch import stretched

        factor = 2.0 ** (draws.between(self.semitones, rng) / 12.0)
        if factor == 1.0 or not len(audio):
            return audio
        longer = stretched(audio, 1.0 / factor, sampling_rate)
        shifted = soxr.resample(longer, sampling_rate * factor, sampling_rate, quality="HQ")
        return of_length(np.asarray(shifted, dtype=np.float32), len(audio))

    def longest(self, duration: float) -> float:
        """The pitch changes, the length does not."""
        return duration

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is shifted."""
        return "semitones is 0" if not any(self.semitones) else None

    def findings(self) -> Iterator[Finding]:
        """A share that is none; shifts that are no voice any more."""
        yield from bounds.share(self.p)
        yield from bounds.within("semitones", self.semitones, -24, 24, "-2 to 2 still sounds like a person")
