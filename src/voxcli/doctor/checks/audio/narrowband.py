"""A015: recordings of a telephone at a higher rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import NARROW
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioNarrowband:
    """Recordings hold nothing above 4 kHz, whatever their header says: they come from a telephone line.

    Why: s, f and th are told apart above 4 kHz. A model learns such recordings well, and hears others the worse the
    fewer it has seen; a score on them says nothing about wide-band speech, and the other way round.

    Repair: none needed where the model is for telephones. Else add wide-band recordings.

    Sources: ITU-T G.712 for the band of a telephone channel; NARROW, measured here.
    """

    code: ClassVar[str] = "A015"
    name: ClassVar[str] = "audio-narrowband"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the spectrum of the loudest frames; rates that have no band above 4 kHz are told by their header."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        for low, what in (
            (False, "hold nothing above 4 kHz: they were recorded at 8 kHz and written at a higher rate"),
            (True, "were recorded at 8 kHz or less; they are resampled to the rate of the model"),
        ):
            found = [
                clip
                for clip in listening.heard
                if (sound := clip.sound)
                and ((sound.sampling_rate <= 8000) if low else (sound.above is not None and sound.above < NARROW))
            ]
            if len(found) >= max(3, 0.1 * len(listening.heard)):
                yield from listening.findings(
                    found, "note", what, "fine for a model of telephone speech; else add wide-band recordings"
                )
