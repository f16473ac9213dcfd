"""A006: samples that are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class SamplesNotFinite:
    """Recordings hold samples that are NaN or infinite.

    Why: a float WAV can hold them; a division by the level of silence makes them. One such sample makes the features of
    its clip, the loss of its batch and every weight of the model NaN. `vox train` refuses the clip when it meets it.

    Repair: export the recordings again from their source, or leave them out.

    Sources: IEEE 754; `voxcli.audio.decode`, which refuses them; transformers issue 19044 (a loss that
    turned NaN after 400,000 steps).
    """

    code: ClassVar[str] = "A006"
    name: ClassVar[str] = "samples-not-finite"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """Only files of floating-point samples can hold them."""
        from voxcli.doctor.audio.listening import listen

        listening = listen(context)
        found = [clip for clip in listening.heard if (sound := clip.sound) and sound.not_finite is not None]
        yield from listening.findings(
            found,
            "warning",
            "hold samples that are not numbers (NaN or infinite)",
            "export them again, or leave them out",
        )
