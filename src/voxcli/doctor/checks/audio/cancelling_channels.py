"""A008: stereo whose mix is silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import CANCELLED
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ChannelsCancel:
    """The channels of stereo recordings cancel each other when they are mixed to mono.

    Why: one channel is the inverse of the other: a cable or a converter was wired the wrong way round. Played on two
    loudspeakers it sounds strange, mixed to one channel nothing is left. Training mixes.

    Repair: invert one channel or keep one of them, and write the files again.

    Sources: `voxcli.audio.resample` takes the mean of the channels, as torchaudio and librosa do; CANCELLED says where
    the line is drawn.
    """

    code: ClassVar[str] = "A008"
    name: ClassVar[str] = "channels-cancel"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the level of the mix over that of the channels."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        found = [
            clip
            for clip in listening.heard
            if (sound := clip.sound) and sound.channels > 1 and sound.mixed < CANCELLED and sound.peak > 0
        ]
        yield from listening.findings(
            found,
            "warning",
            "lose all sound when their channels are mixed: one is the inverse of the other",
            "keep one channel (`sox in.wav out.wav remix 1`), or leave them out",
        )
