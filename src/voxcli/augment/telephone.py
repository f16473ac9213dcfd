"""A telephone line: 300 to 3400 Hz at 8 kHz, coded as G.711 with eight bits a sample (ITU-T G.711, G.712)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from voxcli.api import Finding, config
from voxcli.augment import bounds

if TYPE_CHECKING:
    import numpy as np


@config
class Telephone:
    """Makes clips sound as if called in. For models that will hear calls; models of 8 kHz keep their rate."""

    p: float = 0.3
    """Share of the training utterances that are called in."""
    band: tuple[float, float] = (300.0, 3400.0)
    """What the line lets through, Hz."""
    laws: tuple[Literal["mu", "a"], ...] = ("mu", "a")
    """Codings of G.711, each as likely as the others: mu-law (North America, Japan), A-law (elsewhere). Empty: the
    band alone."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        from voxcli.audio.coding import Coding, coded
        from voxcli.audio.level import within_full_scale
        from voxcli.audio.spectrum import band_limited

        low, high = sorted(self.band)
        heard = band_limited(audio, sampling_rate, low=low, high=high)
        if not self.laws or not len(heard):
            return heard
        coding: Coding = "mu-law" if self.laws[int(rng.integers(len(self.laws)))] == "mu" else "a-law"
        return coded(within_full_scale(heard), sampling_rate, coding).audio

    def longest(self, duration: float) -> float:
        """A call lengthens nothing."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A share that is none; a band that is no telephone's."""
        yield from bounds.share(self.p)
        yield from bounds.within("band", self.band, 0, 4000, "[300.0, 3400.0] is the standard", unit="Hz")
        if self.band[0] == self.band[1]:
            yield Finding("error", "band is empty: both ends are equal", "[300.0, 3400.0]", path=("band",))
