"""T110: a run that went on while its validation became worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    from voxcli.doctor.run.record import Record

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
        """By the metric that picks the best checkpoint; by the loss where there is no other, or nothing gained."""
        record = context.record
        metric = record.metric
        if metric is None or record.status == "stopped early" or record.last_step < OVERFIT_STEPS:
            return
        found = _course(record, metric, OVERFIT_LOSS if metric == "loss" else OVERFIT_SCORE)
        if found is None and metric != "loss" and (other := _course(record, "loss", 2 * OVERFIT_LOSS)):
            found = other if not _gained(record, metric, other.step) else None
        if found is None:
            return
        loss = record.column("loss")
        before, after = _near(record, loss, found.step), _near(record, loss, record.last_step)
        if not (after < (1 - OVERFIT_TRAINING) * before):
            return
        form = ".3g" if found.name == "loss" else ".1%"
        message = (
            f"{found.name} of the validation was best at step {found.step} ({found.best:{form}}) and is "
            f"{found.last:{form}} at step {record.last_step}, while the training loss fell from {before:.3g} to "
            f"{after:.3g}: {found.since} evaluations of over-fitting"
        )
        if wasted := _hours(record, found.step):
            message += f", {wasted} since then"
        help = (
            f"{record.key('early_stopping_patience')}={OVERFIT_EVALUATIONS}, or {record.key('max_steps')}="
            f"{_round(found.step)}; augmentation or more data move that point. The checkpoint of step {found.step} is "
            "the one to use"
        )
        yield Finding("warning", message, help, where=f"step {found.step}")


@dataclass(frozen=True)
class Worse:
    """A score that was best at a step and became worse since."""

    name: str
    step: int
    best: float
    last: float
    since: int


def _course(record: Record, name: str, limit: float) -> Worse | None:
    """Whether a score became worse by `limit` and stayed worse."""
    import numpy as np

    steps, values = record.score(name)
    kept = np.isfinite(values)
    steps, values = steps[kept], values[kept]
    signed = -values if name.startswith(HIGHER) else values
    if len(values) < OVERFIT_EVALUATIONS + 1:
        return None
    at = int(np.argmin(signed))
    since = len(values) - 1 - at
    if since < OVERFIT_EVALUATIONS or (name in ("wer", "cer") and values[at] >= CHANCE_WER):
        return None  # or nothing has been learned yet
    worse = (signed[at + 1 :] - signed[at]) / max(abs(float(values[at])), 1e-6 if name == "loss" else 0.02)
    late = worse[-OVERFIT_EVALUATIONS:]
    third = len(worse) // 3
    rising = third < 2 or np.median(worse[-third:]) > np.median(worse[:third]) + limit / 4  # noise does not rise
    if not rising or float(np.median(late)) < limit or bool((late <= limit / 2).any()):
        return None
    return Worse(name, int(steps[at]), float(values[at]), float(values[-1]), since)


def _gained(record: Record, metric: str, step: int) -> bool:
    """Whether a metric still became better after a step."""
    steps, values = record.score(metric)
    signed = -values if metric.startswith(HIGHER) else values
    before, after = signed[steps <= step], signed[steps > step]
    return not len(before) or not len(after) or float(after.min()) < before.min() - 0.02 * abs(float(before.min()))


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
