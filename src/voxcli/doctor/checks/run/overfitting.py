"""T110: a run that went on while its validation became worse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    CHANCE_WER,
    OVERFIT_EVALUATIONS,
    OVERFIT_LOSS,
    OVERFIT_SCORE,
    OVERFIT_STEPS,
    OVERFIT_TRAINING,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.record import Record

HIGHER = ("accuracy", "f1", "precision", "recall")


class Overfitting:
    """The validation became worse for several evaluations while the training loss still fell.

    Why: from its best evaluation on a run learns its clips by heart. The best checkpoint is kept, so the model is not
    spoilt; the hours since then are, and a higher rate or more passes would only reach that point sooner. A validation
    loss that rises alone, while the error rate still falls, is usual in CTC and Whisper training and is not reported.

    Repair: `train.early_stopping_patience = 3` ends such a run; `[augment]`, dropout, more data or a smaller
    `train.learning_rate` move that point.

    Sources: docs/train.md, "When it stops"; softcatala/whisper-small-ca, TRAINING.md. Measured here: the validation
    loss of the quickstart rises by 4 % from step 250 on while its CER falls from 27.0 to 25.1 %.
    """

    code: ClassVar[str] = "T110"
    name: ClassVar[str] = "over-fitting"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the metric that picks the best checkpoint; by the loss where there is no other."""
        import numpy as np

        record = context.record
        metric = record.metric
        if metric is None or record.status == "stopped early" or record.last_step < OVERFIT_STEPS:
            return
        steps, values = record.score(metric)
        kept = np.isfinite(values)
        steps, values = steps[kept], values[kept]
        higher = metric.startswith(HIGHER)
        signed = -values if higher else values
        if len(values) < OVERFIT_EVALUATIONS + 1:
            return
        at = int(np.argmin(signed))
        since = len(values) - 1 - at
        if metric in ("wer", "cer") and values[at] >= CHANCE_WER:
            return  # nothing has been learned yet
        limit = OVERFIT_LOSS if metric == "loss" else OVERFIT_SCORE
        room = abs(float(values[at])) if not higher else max(1e-3, float(values[at]))
        worse = (signed[at + 1 :] - signed[at]) / max(room, 0.02 if metric != "loss" else 1e-6)
        if since < OVERFIT_EVALUATIONS or float(np.median(worse[-OVERFIT_EVALUATIONS:])) < limit:
            return
        if (worse[-OVERFIT_EVALUATIONS:] <= limit / 2).any():
            return
        loss = record.column("loss")
        before, after = _near(record, loss, int(steps[at])), _near(record, loss, record.last_step)
        if not (after < (1 - OVERFIT_TRAINING) * before):
            return
        best, last = int(steps[at]), record.last_step
        shown = (lambda one: f"{one:.1%}") if metric != "loss" else (lambda one: f"{one:.3g}")
        message = (
            f"{metric} was best at step {best} ({shown(values[at])}) and is {shown(values[-1])} at step {last}, "
            "while the "
            f"training loss fell from {before:.3g} to {after:.3g}: {since} evaluations of over-fitting"
        )
        if wasted := _hours(record, best):
            message += f", {wasted}"
        yield Finding(
            "warning",
            message,
            f"{record.key('early_stopping_patience')}={OVERFIT_EVALUATIONS}, or "
            f"{record.key('max_steps')}={_round(best)}; "
            "augmentation or more "
            f"data move that point. The checkpoint of step {best} is the one to use",
            where=f"step {best}",
        )


def _near(record: Record, loss: object, step: int) -> float:
    """The training loss around a step."""
    import numpy as np

    values = np.asarray(loss)[record.steps <= step]
    values = values[np.isfinite(values)][-max(5, len(record.steps) // 20) :]
    return float(np.median(values)) if len(values) else float("nan")


def _hours(record: Record, step: int) -> str:
    """What was spent after a step."""
    import numpy as np

    seconds, whole = record.column("seconds"), record.state.get("train_runtime")
    if np.isfinite(seconds).any():
        after = float(np.nansum(seconds[record.steps > step]))
        after += sum(one.seconds for one in record.evaluations if one.step > step)
    else:
        after = float(whole) * (1 - step / record.last_step) if isinstance(whole, int | float) else 0.0
    if after >= 3600:
        return f"{after / 3600:.1f} h"
    return f"{after / 60:.0f} min" if after >= 60 else ""


def _round(step: int) -> int:
    """A step with two digits that count, not below it."""
    unit = 10 ** max(0, len(str(step)) - 2)
    return -(-step // unit) * unit
