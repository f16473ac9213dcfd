"""S103: what the evaluations in between need of the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import EVALUATION_OVER_TRAINING
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class EvaluationTooLarge:
    """An evaluation during training does not fit, or needs much more than training itself.

    Why: decoding keeps the keys and values of every token of every clip and beam, beside weights, gradients and
    optimizer states. Training that fits then ends at the first evaluation, hours later: "always at step 500" is the
    first evaluation. Where both fit, an evaluation that needs much more than training keeps the training batches
    smaller than they could be, which is noted.

    Repair: `evaluate.batch_duration` smaller, or `evaluate.num_beams = 1`; the size that fits is proposed.

    Sources: docs/memory.md (evaluation, compared in four cases); transformers issue 13597, silero-vad issue 683 (out of
    memory in validation).
    """

    code: ClassVar[str] = "S103"
    name: ClassVar[str] = "evaluation-too-large"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """Where training fits; a recipe that does not even train has that said first."""
        from voxcli.doctor.memory.prediction import lacking, prediction_where_it_matters, repair

        prediction = prediction_where_it_matters(context)
        if prediction is None:
            return
        phase = next((one for one in prediction.phases if one.name == "evaluation"), None)
        training = max((one for one in prediction.phases if one is not phase), key=lambda one: one.total)
        if phase is None or lacking(prediction, training) is not None:
            return
        from voxcli.memory.cards import gib
        from voxcli.memory.report import shape_text

        level = lacking(prediction, phase)
        shown = f"{shape_text(phase.shape, prediction.padded_to)} need {gib(phase.total)}"
        if level is not None:
            from voxcli.doctor.memory.worst_batch import members

            changes, help = repair(prediction)
            yield Finding(
                level,
                f"evaluations do not fit, though training does: {shown}, {prediction.device.name} has "
                f"{gib(prediction.device.usable)}",
                help,
                path=("evaluate", "batch_duration"),
                utterances=members(context, phase),
                fix=Fix(changes) if changes else None,
            )
        elif prediction.device.kind == "cuda" and phase.total > EVALUATION_OVER_TRAINING * training.total:
            yield Finding(
                "note",
                f"evaluations need more than training: {shown}, a training step {gib(training.total)}",
                "evaluate.batch_duration smaller leaves room for larger training batches",
                path=("evaluate", "batch_duration"),
            )
