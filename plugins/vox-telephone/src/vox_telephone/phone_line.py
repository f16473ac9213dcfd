"""A clip as it sounds at the other end of a telephone call: 8 kHz, one byte a sample, packets that do not arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from voxcli.api import Finding, config

if TYPE_CHECKING:
    import numpy as np

RATE = 8000  # Hz, of every telephone that speaks G.711
_RANGES = {  # what makes sense, and what is usual
    "p": (0.0, 1.0, "0.3: a third of the clips are called in"),
    "loss": (0.0, 0.9, "[0.0, 0.1]: up to a tenth of the packets"),
    "burst": (1.0, 100.0, "1.5: most losses are of one packet"),
    "packet": (0.01, 0.06, "0.02: what most lines use, s"),
    "noise_db": (-120.0, 0.0, "[-70.0, -50.0]: decibels below full scale"),
}


@config
class PhoneLine:
    """A telephone call over the internet: 8 kHz, G.711 (A-law or mu-law), packets lost in bursts, noise of the line."""

    p: float = 0.3
    """Share of the training utterances that are called in."""
    laws: tuple[Literal["a", "mu"], ...] = ("a", "mu")
    """Codings of G.711, each as likely as the others: mu-law (North America, Japan), A-law (elsewhere). Empty: none."""
    loss: tuple[float, float] = (0.0, 0.1)
    """Share of the packets that do not arrive, drawn uniformly for each clip."""
    burst: float = 1.5
    """Packets that are lost in a row, on average; 1.0 and little loss: each alone."""
    packet: float = 0.02
    """Length of a packet, s: 0.01 to 0.06. Longer ones lose more at once."""
    conceal: Literal["repeat", "silence"] = "repeat"
    """What is played for a lost packet: the last one again, fading, or nothing."""
    noise_db: tuple[float, float] | None = None
    """Level of white noise on the line, dB relative to full scale, drawn uniformly. None: a quiet line."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """float32 (N,) -> float32 (N,), at the rate of the clip, with nothing above 4 kHz."""
        import numpy as np
        import soxr

        from vox_telephone import g711, packets

        line = soxr.resample(audio, sampling_rate, RATE)
        if self.noise_db is not None:
            low, high = sorted(self.noise_db)
            level = 10 ** (rng.uniform(low, high) / 20)
            line = line + (level * rng.standard_normal(len(line))).astype(np.float32)
        if self.laws:
            line = g711.through(line, self.laws[int(rng.integers(len(self.laws)))])
        size = round(self.packet * RATE)
        least, most = sorted(self.loss)
        gone = packets.lost(-(-len(line) // size), rng.uniform(least, most), self.burst, rng)
        line = packets.concealed(line, gone, size, RATE, repeat=self.conceal == "repeat")
        heard = soxr.resample(line, RATE, sampling_rate)[: len(audio)]
        return np.pad(heard, (0, len(audio) - len(heard))).astype(np.float32)

    def longest(self, duration: float) -> float:
        """How long a clip of `duration` s can become, s: a call lengthens nothing."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """Keys out of range, and losses that bursts so short cannot reach."""
        for key, (low, high, help) in _RANGES.items():
            value = getattr(self, key)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None and not low <= one <= high:
                    yield Finding("error", f"{key} = {one:g}, expected {low:g} to {high:g}", help, path=(key,))
        most = self.burst / (self.burst + 1.0)  # between two bursts there is a packet
        if self.burst >= 1.0 and max(self.loss) > most:
            message = f"loss goes up to {max(self.loss):.0%}, and bursts of {self.burst:g} lose at most {most:.0%}"
            yield Finding("error", message, "a larger burst, or less loss", path=("loss",))
