"""A009: stereo with one silent channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ChannelSilent:
    """Stereo recordings have a channel without sound.

    Why: the mix to mono has half the amplitude (6 dB less) and nothing else is lost. Worth knowing where the other
    channel should have held a second speaker.

    Repair: none needed; keep the channel that has sound, to save half the space.

    Sources: `voxcli.audio.resample` takes the mean of the channels.
    """

    code: ClassVar[str] = "A009"
    name: ClassVar[str] = "channel-silent"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """60 dB below the loudest channel."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        found = [
            clip for clip in listening.heard if (sound := clip.sound) and sound.channels > 1 and sound.silent_channels
        ]
        yield from listening.findings(
            found,
            "note",
            "have a channel without sound beside one that has some",
            "nothing is lost but 6 dB; was the other channel recorded?",
        )
