"""T124: a best checkpoint that is the worst one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

LOWER = ("loss", "wer", "cer", "mer", "wil")
LEAST = 3  # evaluations: of two the direction is not known


class BestIsWorst:
    """The checkpoint that was kept as the best one is the worst.

    Why: transformers' Trainer takes every metric but the loss for one that should be high:
    `metric_for_best_model="wer"` alone keeps the checkpoint with the most errors, loads it at the end, and stops early
    when the model becomes better.

    Repair: `greater_is_better=False` in the TrainingArguments; the checkpoint with the lowest value, if it is still
    there, is the one to use.

    Sources: transformers PR 7431 and 31142; TrainingArguments, greater_is_better.
    """

    code: ClassVar[str] = "T124"
    name: ClassVar[str] = "best-is-worst"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """The evaluation that the best checkpoint belongs to, among the others."""
        record = context.record
        step = _best_step(record)
        if step is None or not record.trainer:  # voxcli knows the direction of its metrics
            return
        best = record.state.get("best_metric")
        for name in LOWER:
            steps, values = record.score(name)
            if len(values) < LEAST or step not in steps or not (values == values).all():
                continue
            at = float(values[list(steps).index(step)])
            scale = 100 if isinstance(best, int | float) and abs(at * 100 - best) < abs(at - best) else 1
            if isinstance(best, int | float) and abs(at * scale - best) > 1e-3 * abs(best) + 1e-9:
                continue
            if at < values.max() or at <= 1.02 * values.min():
                return
            low = int(steps[int(values.argmin())])
            shown = f"{at:.3g} against {values.min():.3g} at step {low}"
            yield Finding(
                "error",
                f"the best checkpoint, of step {step}, has the worst {name} of all: {shown}",
                f"greater_is_better=False, then train again; checkpoint-{low} is the one to use if it is still there",
                where=str(record.log_path),
            )
            return


def _best_step(record: object) -> int | None:
    state = getattr(record, "state", {})
    step = state.get("best_global_step", state.get("best_step"))
    if not isinstance(step, int) and isinstance(state.get("best_model_checkpoint"), str):
        tail = state["best_model_checkpoint"].rpartition("-")[2]
        step = int(tail) if tail.isdigit() else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None
