"""A007: samples far beyond full scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import MOST_AMPLITUDE
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AmplitudeOverFullScale:
    """Recordings hold samples far beyond full scale, which is 1.

    Why: a float WAV that holds the integers of another format (up to 32,768), or noise of a broken export. The squares
    of large samples overflow in the features; models whose features are not normalised hear something they never heard.

    Repair: divide them by what they were multiplied by (32,768 for 16 bits) and write them again, or leave them out.

    Sources: full scale of floating-point audio is 1 (WAVE_FORMAT_IEEE_FLOAT, McGill, WAVE specification);
    MOST_AMPLITUDE says where the line is drawn.
    """

    code: ClassVar[str] = "A007"
    name: ClassVar[str] = "amplitude-over-full-scale"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the largest sample."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        found = [clip for clip in listening.heard if (sound := clip.sound) and sound.peak > MOST_AMPLITUDE]
        peak = max((clip.sound.peak for clip in found if clip.sound), default=0.0)
        yield from listening.findings(
            found,
            "warning",
            f"hold samples up to {peak:.3g}, where full scale is 1",
            "scale them to [-1, 1] (32,768 for integers of 16 bits), or leave them out",
        )
