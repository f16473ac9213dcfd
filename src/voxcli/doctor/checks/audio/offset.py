"""A010: samples that do not lie around zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import OFFSET
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioOffset:
    """The samples of recordings do not lie around zero.

    Why: a sound card adds a constant. It is heard as a click at both ends, and cutting or mixing such clips puts steps
    into them; features of speech hardly see it.

    Repair: a high-pass filter (`sox in.wav out.wav highpass 20`), or subtract the mean.

    Sources: OFFSET, measured here.
    """

    code: ClassVar[str] = "A010"
    name: ClassVar[str] = "audio-offset"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the mean of the samples."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        found = [clip for clip in listening.heard if (sound := clip.sound) and abs(sound.offset) > OFFSET]
        yield from listening.findings(
            found,
            "note",
            f"have a constant offset of more than {OFFSET:.0%} of full scale",
            "subtract the mean, or filter below 20 Hz",
        )
