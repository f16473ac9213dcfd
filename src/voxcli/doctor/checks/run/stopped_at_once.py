"""T117: patience that ended a run which still learned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import CHANCE_WER, STOPPED_AT_ONCE
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class StoppedAtOnce:
    """Early stopping ended the run while it still learned.

    Why: a CTC model writes nothing for its first some hundred steps, so its error rate is 1.0 at every evaluation, none
    better than the one before, and patience ends the run before its first letter. The same happens where evaluations
    come so often that they differ by chance alone.

    Repair: `train.early_stopping_patience = 5` and a larger `train.eval_steps`, or a metric that moves from the first
    step (`evaluate.metrics = ["cer"]`). `--resume` takes all of them.

    Sources: docs/train.md, "When it stops"; docs/results.md for the length of that plateau.
    """

    code: ClassVar[str] = "T117"
    name: ClassVar[str] = "stopped-at-once"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """A run that stopped early in its first third, at chance or with a loss that still fell."""
        import numpy as np

        record = context.record
        total = record.total_steps
        if record.status != "stopped early" or not total or record.last_step >= STOPPED_AT_ONCE * total:
            return
        metric = record.metric or "loss"
        _, values = record.score(metric)
        _, losses = record.score("loss")
        chance = metric in ("wer", "cer") and len(values) and float(values.min()) >= CHANCE_WER
        loss = record.column("loss")
        loss = loss[np.isfinite(loss)]
        part = max(1, len(loss) // 4)
        falling = len(loss) >= 8 and float(np.median(loss[-part:])) < 0.97 * float(np.median(loss[-2 * part : -part]))
        still = falling and (not len(losses) or losses[-1] <= 1.02 * losses.min())
        if not chance and not still:
            return
        why = f"{metric} never left {values[-1]:.0%}" if chance else "the loss was still falling"
        patience = record.train.get("early_stopping_patience")
        yield Finding(
            "warning",
            f"early stopping ended the run at step {record.last_step} of {total}, after {len(record.evaluations)} "
            f"evaluations: {why}",
            f"train.early_stopping_patience={max(5, 2 * int(patience or 1))} with a larger train.eval_steps; "
            "--resume takes both",
            where=f"step {record.last_step}",
        )
