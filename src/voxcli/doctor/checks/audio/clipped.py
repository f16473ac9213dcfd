"""A005: recordings that were too loud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import CLIPPED, NEAR_FULL
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioClipped:
    """Recordings were too loud for their format: their tops are cut flat.

    Why: the recorder had no larger numbers. What was cut off sounds as a crackle over all frequencies, cannot be
    brought back, and is found in no other recording that the model will hear.

    Repair: record with less gain; where the master is louder than its copy, convert it again. A few such clips among
    many do little harm.

    Sources: audio clipping is measured by runs of equal samples at the extreme as in Eaton and Naylor 2013 (iterative
    logarithmic amplitude histogram); CLIPPED says where the line is drawn.
    """

    code: ClassVar[str] = "A005"
    name: ClassVar[str] = "audio-clipped"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the share of samples in runs at the extreme."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        found = [
            clip
            for clip in listening.heard
            if (sound := clip.sound) and (sound.clipped > CLIPPED or sound.near > NEAR_FULL)
        ]
        yield from listening.findings(
            found,
            "warning",
            f"are clipped: more than {CLIPPED:.0%} of the samples lie on a flat top",
            "convert them again from a quieter copy, or leave them out",
        )
