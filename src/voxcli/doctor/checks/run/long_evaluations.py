"""T125: evaluations that took longer than the training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import EVALUATION_SECONDS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class EvaluationsTookLonger:
    """The evaluations took longer than the training itself.

    Why: a decoder writes its texts token by token, so an evaluation of a large split costs more than the training
    between two of them.

    Repair: `evaluate.max_utterances = 200`, a larger `train.eval_steps`, `evaluate.num_beams = 1`; the whole split
    once, at the end: `vox evaluate RUN`.

    Sources: peft issue 632 (5 h of training, 10 h of evaluation), transformers 32346, unsloth 4165.
    """

    code: ClassVar[str] = "T125"
    name: ClassVar[str] = "evaluations-took-longer"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Seconds of evaluations against seconds of steps."""
        import numpy as np

        record = context.record
        spent = sum(one.seconds for one in record.evaluations)
        training = float(np.nansum(record.column("seconds")))
        whole = record.state.get("train_runtime")
        if record.trainer and isinstance(whole, int | float):
            training = max(0.0, float(whole) - spent)  # it counts both
        if len(record.evaluations) < 2 or spent < EVALUATION_SECONDS or training <= 0 or spent <= training:
            return
        yield Finding(
            "warning",
            f"{len(record.evaluations)} evaluations took {spent / 60:.0f} min, the training {training / 60:.0f} min",
            "evaluate.max_utterances=200 and a larger train.eval_steps; --resume takes both",
            where=str(record.log_path),
        )
