"""D002: labels that CTC cannot fit into the frames of their recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CTCInfeasible:
    """Labels need more frames than their recordings have.

    Why: CTC gives each frame one label or a blank, and equal neighbours need a blank between them: an utterance can be
    learned exactly when frames >= labels + adjacent repeated labels. One that cannot has an infinite loss, which turns
    a run to NaN or, with `ctc_zero_infinity`, silently teaches nothing. `vox train` leaves it out.

    Repair: usually the transcript is wrong, or of a longer recording. Leave the utterances out; where there are many,
    take a model with more frames a second.

    Sources: Graves et al. 2006; tried on 35,598 cases by counting paths, none against; transformers issue 19044,
    speechbrain issue 1803.
    """

    code: ClassVar[str] = "D002"
    name: ClassVar[str] = "ctc-infeasible"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Frames by the family's own formula, labels by the real tokenizer."""
        from voxcli.doctor.data.feasible import misfits
        from voxcli.doctor.data.rows import named, of

        if context.recipe.task_name != "ctc":
            return
        found, table = misfits(context), context.data.used("train")
        wrong = found.needed > found.recorded
        rows = found.rows[wrong]
        if not len(rows):
            return
        yield Finding(
            "error" if len(rows) == len(table) else "warning",
            f"{of(len(rows), len(table))} of the train split cannot be learned by CTC: the label of "
            f"'{table.ids[int(rows[0])]}' needs {found.needed[wrong][0]} frames, its recording has "
            f"{found.recorded[wrong][0]}",
            "correct the transcripts, or leave the utterances out",
            utterances=named(table, rows),
            fix=Fix(leave_out=context.data.leave_out("train", table, rows)),
        )
