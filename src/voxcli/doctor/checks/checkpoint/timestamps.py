"""C150: timestamps that a fine-tuned Whisper no longer writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import ABLE, LOST
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class TimestampsLost:
    """The base writes timestamps, the trained checkpoint does not, or its texts do not end.

    Why: a Whisper that is trained on labels without timestamps alone unlearns them. It then has no segments, long
    recordings are cut in the wrong places, and the decoder repeats itself, above all after a conversion.

    Measured, not derived: checkpoint and base decode four English sentences of the sample speech and 3 s of silence,
    with timestamps. Below 100 MB of weights always, above with `--full`. The base has to be able to do it.

    Repair: train with `model.timestamps = 0.5`, the share that Whisper itself was trained with, or fewer steps.

    Sources: arXiv 2212.04356, section 2.3; transformers issue 30148, faster-whisper issues 1099 and 987.
    """

    code: ClassVar[str] = "C150"
    name: ClassVar[str] = "timestamps-lost"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Against the base that the folder names, where it is here."""
        from voxcli.doctor.checkpoint.forgotten import ON, compared

        found = compared(context)
        if found is None:
            return
        before, after = found.before, found.after
        if before.timed >= ABLE and after.timed <= before.timed - LOST:
            yield Finding(
                "warning",
                f"timestamps are lost: sensible times around {after.timed:.0%} of the texts, with {found.base} around "
                f"{before.timed:.0%} (measured on {ON})",
                "train with model.timestamps = 0.5, or fewer steps",
                where=str(context.checkpoint.path),
            )
        if before.endless <= 1 - ABLE and after.endless >= before.endless + LOST:
            yield Finding(
                "warning",
                f"texts do not end: {after.endless:.0%} run to the limit, with {found.base} {before.endless:.0%} "
                f"(measured on {ON})",
                "train again with fewer steps or a lower rate, and with an end token in every label",
                where=str(context.checkpoint.path),
            )
