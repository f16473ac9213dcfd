"""R119: what evaluation costs beside training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.run_length import padded_lengths, run_length
from voxcli.doctor.checks.thresholds import (
    EVALUATION_COST,
    FEWEST_EVALUATIONS,
    LOSS_COST,
    MOST_EVALUATION,
    USUAL_EVALUATION,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class EvaluationCostsMoreThanTraining:
    """Between two evaluations less is computed than in one of them.

    Why: each evaluation decodes the sample of the validation split and computes its loss. Whisper decodes token by
    token. With evaluations in short distances, or of a large sample, a run spends most of its hours on measuring
    itself. Estimated in seconds of padded audio: an evaluation costs `sample x (decoding x beams + loss)`, where
    decoding is 1/3 for CTC and 2/3 for Whisper, the loss 1/3 for at most 128 utterances; training between two of them
    costs `eval_steps x padded seconds of a step`.

    Repair: a larger `eval_steps`, or a smaller `[evaluate] max_utterances`.

    Sources: measured here with Whisper base (decoding and loss of a second take as long as training on it);
    transformers issue 13597; voxcli.train.validation.
    """

    code: ClassVar[str] = "R119"
    name: ClassVar[str] = "evaluation-costs-more-than-training"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """For tasks whose decoding is known here; a run with one or two evaluations is passed over."""
        from voxcli.data.batches import padding_of
        from voxcli.train.validation import LOSS_UTTERANCES

        recipe = context.recipe
        decoding = EVALUATION_COST.get(recipe.task_name)
        validation = context.data.splits.validation
        if decoding is None or not len(validation):
            return
        length = run_length(context)
        count = length.total // length.between_evaluations
        if count < FEWEST_EVALUATIONS:
            return
        rows = length.sample
        mean = float(validation.durations.mean())
        padded = padding_of(recipe.model, context.limits)
        clip = mean if padded is None else padded(mean)
        beams = recipe.evaluate.num_beams if recipe.task_name == "seq2seq" else 1
        one = clip * (rows * decoding * beams + min(rows, LOSS_UTTERANCES) * LOSS_COST)
        step = float(padded_lengths(context).sum()) / max(length.per_epoch, 1)
        share = one / (step * length.between_evaluations)
        if share <= MOST_EVALUATION:
            return
        wider = math.ceil(length.between_evaluations * share / USUAL_EVALUATION)
        if wider < length.total:
            change: dict[str, object] = {"train.eval_steps": wider}
            help = f"eval_steps = {wider}, or a smaller [evaluate] max_utterances"
        else:
            fewer = max(1, int(rows * USUAL_EVALUATION / share))
            change = {"evaluate.max_utterances": fewer}
            help = f"max_utterances = {fewer} in [evaluate], or a larger eval_steps"
        yield Finding(
            "warning",
            f"an evaluation of {rows} utterances every {length.between_evaluations} steps costs {share:.1f} times the "
            f"training in between, {count} times a run",
            help,
            path=("train", "eval_steps") if recipe.train.eval_steps is not None else ("evaluate", "max_utterances"),
            fix=Fix(change),
        )
