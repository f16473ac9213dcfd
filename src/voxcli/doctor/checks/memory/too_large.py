"""S101: the worst batch of training against the memory of the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class BatchTooLarge:
    """The largest batch that the sampler can make does not fit the device.

    Why: batches differ, and the one of the longest clips may come late: users report running out of memory after 15 to
    44 epochs. `vox train` halves a batch that does not fit and goes on, but each such step costs a failed attempt, and
    where one clip alone does not fit, the clip is lost. What is compared is the worst batch of any epoch, after
    augmentation, in the first optimizer step (where its states come into being) and in later ones. Tensors are counted
    exactly; what stands beside them on a GPU is estimated, to 6 to 10 % of the whole. On a processor the estimate is
    rough: it is an error where the tensors alone are more than the machine has, a warning where they and the process
    are more than is free.

    Repair: the cheapest setting that fits is proposed; `--fix` writes it, `vox plan RECIPE` shows all others.

    Sources: docs/memory.md (measured); fairseq issue 2633, NVIDIA NeMo Speech issue 5230, wenet issue 260 (out of
    memory at a late epoch, from one long clip).
    """

    code: ClassVar[str] = "S101"
    name: ClassVar[str] = "batch-too-large"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """The phase of training that needs most; evaluations have a check of their own."""
        from voxcli.doctor.memory.prediction import lacking, prediction_where_it_matters, repair, step_words

        prediction = prediction_where_it_matters(context)
        if prediction is None:
            return
        phase = max((one for one in prediction.phases if one.name != "evaluation"), key=lambda one: one.total)
        level = lacking(prediction, phase)
        if level is None:
            return
        from voxcli.doctor.memory.worst_batch import members
        from voxcli.memory.cards import gib
        from voxcli.memory.report import shape_text

        changes, help = repair(prediction)
        yield Finding(
            level,
            f"the worst batch does not fit: {shape_text(phase.shape, prediction.padded_to)} need {gib(phase.total)} in "
            f"{step_words(phase)}, {prediction.device.name} has {gib(prediction.device.usable)}",
            help,
            path=("train", "batch_duration")
            if context.recipe.train.batch_duration is not None
            else ("train", "per_device_train_batch_size"),
            utterances=members(context, phase),
            fix=Fix(changes) if changes else None,
        )
