"""Encoded and decoded again, really: MP3, Opus, Vorbis or GSM at a drawn bit rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np


@config
class Codec:
    """What a codec leaves of speech. Nothing is imitated, so it costs: Opus most, see the table of times."""

    p: float = 0.3
    """Share of the training utterances that are encoded."""
    codecs: tuple[Literal["mp3", "opus", "vorbis", "gsm"], ...] = ("mp3", "opus")
    """Each as likely as the others. `gsm` is the mobile phone's full rate codec of 1990, at 8 kHz and 13 kbit/s."""
    bitrate: tuple[float, float] = (12.0, 48.0)
    """Range in kbit/s, drawn uniformly. MP3 goes from 8 to 160 (from 32 at 32 kHz and more), Opus from 6 to 256; Vorbis
    has a quality instead, which gives 28 to 73 at 16 kHz."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,), at its place in time."""
        from voxcli.audio.coding import coded
        from voxcli.audio.level import within_full_scale

        codec = self.codecs[int(rng.integers(len(self.codecs)))]
        bitrate = draws.between(self.bitrate, rng)
        if not len(audio):
            return audio
        return coded(within_full_scale(audio), sampling_rate, codec, bitrate).audio

    def longest(self, duration: float) -> float:
        """What a codec adds is taken away again."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A share that is none; no codec; rates that no codec has."""
        yield from bounds.share(self.p)
        if not self.codecs:
            yield Finding("error", "codecs is empty", 'for example codecs = ["mp3", "opus"]', path=("codecs",))
        yield from bounds.within("bitrate", self.bitrate, 6, 320, "12 to 48 is heard", unit="kbit/s")
