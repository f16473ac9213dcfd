"""D003: labels that CTC cannot fit into their recording once augmentation has made it shorter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CTCInfeasibleAugmented:
    """Labels fit into their recordings, but not once augmentation has made these shorter.

    Why: speed 1.1 takes a tenth of the frames away. Other toolkits check before they augment and meet an infinite loss
    in some epoch; `vox train` passes the utterance over in the epochs in which it is too short.

    Repair: leave the utterances out, or lower the highest factor of `[[augment]] type = "speed"`.

    Sources: Ko et al., Interspeech 2015, for the factors; Graves et al. 2006 for the frames that a label needs.
    """

    code: ClassVar[str] = "D003"
    name: ClassVar[str] = "ctc-infeasible-augmented"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Clips at the shortest that the recipe's augmentations can make them."""
        from voxcli.doctor.data.feasible import misfits
        from voxcli.doctor.data.rows import named, of

        if context.recipe.task_name != "ctc" or not context.recipe.augment:
            return
        found, table = misfits(context), context.data.used("train")
        wrong = found.needed <= found.recorded
        rows = found.rows[wrong]
        if len(rows):
            yield Finding(
                "warning",
                f"{of(len(rows), len(table))} of the train split cannot be learned by CTC in every epoch: the label of "
                f"'{table.ids[int(rows[0])]}' needs {found.needed[wrong][0]} frames, its recording has "
                f"{found.recorded[wrong][0]}, and {found.shortest[wrong][0]} once it is played faster",
                "leave the utterances out, or lower the highest speed",
                path=("augment",),
                utterances=named(table, rows),
                fix=Fix(leave_out=context.data.leave_out("train", table, rows)),
            )
