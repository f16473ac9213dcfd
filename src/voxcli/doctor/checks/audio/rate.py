"""A011: headers with another sampling rate than the samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.audio.listening import Clip
    from voxcli.doctor.context import Context


class RateMistaken:
    """A header names another sampling rate than the samples were recorded at.

    Why: everything is heard too slow and too low, or too fast and too high, by the ratio of the two rates, and training
    on it teaches the wrong sounds. Raw samples that were given a header by hand are written so.

    Repair: write the header again with the true rate (`sox -r 16000 in.wav out.wav` before the name of the input), or
    leave the utterances out.

    Sources: rates in use, AES5-2018; RATE_MATCH and SLOWED say how near a ratio has to be.
    """

    code: ClassVar[str] = "A011"
    name: ClassVar[str] = "rate-mistaken"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """Where a duration in the data fits another rate, and where speech is slower and lower by such a ratio."""
        from voxcli.doctor.audio.listening import listen
        from voxcli.doctor.audio.mistaken import mistaken

        listening = listen(context)
        by_rates: dict[tuple[int, int], list[Clip]] = {}
        for clip, rate in mistaken(listening).rates:
            by_rates.setdefault((clip.header.sampling_rate if clip.header else 0, rate), []).append(clip)
        for (said, rate), clips in by_rates.items():
            yield from listening.findings(
                clips,
                "warning",
                f"have a header that says {said} Hz, and their duration or their speech fits {rate} Hz",
                f"write the header again with {rate} Hz, or leave them out",
            )
