"""A004: recordings without sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import NO_SPEECH, SILENT, SPREAD
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.audio.hearing import Sound
    from voxcli.doctor.context import Context


class AudioSilent:
    """Recordings are silent, or silent but for a click or a steady hiss.

    Why: a model that is asked for a text where nothing is heard learns to make texts up; CTC losses of silent clips are
    the largest of a batch. A microphone that was muted or a channel that was not recorded leaves such files.

    Repair: record them again, or leave them out.

    Sources: EBU R 128 and ITU-R BS.1770-5 for the level below which nothing counts as sound; pauses that bring invented
    text are described by Koenecke et al., Careless Whisper, FAccT 2024.
    """

    code: ClassVar[str] = "A004"
    name: ClassVar[str] = "audio-silent"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """Below the level of any speech, by the loudest frames but a few."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        silent = [clip for clip in listening.heard if clip.sound is not None and _silent(clip.sound)]
        whole = len(silent) == len(listening.heard)
        yield from listening.findings(
            silent,
            "error" if whole else "warning",
            f"are silent (below {SILENT:g} dB of full scale), or hold a click or a steady hiss only",
            "record them again, or leave them out",
        )


def _silent(sound: Sound) -> bool:
    return sound.not_finite is None and (sound.level < SILENT or (sound.level < NO_SPEECH and sound.spread < SPREAD))
