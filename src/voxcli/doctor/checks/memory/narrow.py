"""S102: a recipe that fits by less than the prediction may be off by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class FitsNarrowly:
    """The recipe fits the GPU, but by less than the prediction may be off by.

    Why: tensors are counted exactly; the CUDA context, the libraries' workspaces and the gaps that PyTorch's allocator
    leaves are estimated, to 6 to 10 % of the whole. What fits by less than 6 % may run out of memory at its worst
    batch. A warning where a change gives room, a note where nothing that was tried does. Not said of processors, whose
    estimate is too rough for it.

    Repair: what is proposed (`--fix`), or `PYTORCH_ALLOC_CONF=expandable_segments:True vox train …`, which closes most
    of the gaps.

    Sources: docs/memory.md, "What is estimated" and "Fragmentation" (simulated).
    """

    code: ClassVar[str] = "S102"
    name: ClassVar[str] = "fits-narrowly"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """On GPUs alone."""
        from voxcli.doctor.memory.prediction import prediction_where_it_matters, repair, step_words

        prediction = prediction_where_it_matters(context)
        if prediction is None or prediction.device.kind != "cuda" or not prediction.narrow:
            return
        from voxcli.doctor.memory.worst_batch import members
        from voxcli.memory.cards import gib
        from voxcli.memory.fixed import expandable

        changes, help = repair(prediction)
        if not expandable():
            help += "; or set PYTORCH_ALLOC_CONF=expandable_segments:True, which leaves fewer gaps"
        worst = prediction.worst
        yield Finding(
            "warning" if changes else "note",
            f"fits narrowly: {gib(worst.total)} needed in {step_words(worst)}, {prediction.device.name} "
            f"has {gib(prediction.device.usable)}, and the prediction may be off by as much",
            help,
            path=("train",),
            utterances=members(context, worst),
            fix=Fix(changes) if changes else None,
        )
