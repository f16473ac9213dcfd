"""T104: a training loss that rose and stayed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    DIVERGED_FACTOR,
    DIVERGED_NOISE,
    DIVERGED_RISE,
    DIVERGED_STEPS,
    DIVERGED_WINDOWS,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record


class LossDiverged:
    """The training loss rose far above its lowest level and stayed there.

    Why: steps that are too large throw the weights out of where they had learned to. What is trained after that point
    is lost, and often all of it: a model that has forgotten its pre-training does not find back at the same rate.

    Repair: a third of `train.learning_rate`, a warm-up of a tenth of the run or more, `train.max_grad_norm = 1.0`. The
    best checkpoint is usually from before and can be used.

    Sources: transformers issues 12934 and 14387 (pre-training), wav2vec 2.0's schedules in arXiv 2006.11477 A.2.
    Measured here: where the figures in thresholds say so.
    """

    code: ClassVar[str] = "T104"
    name: ClassVar[str] = "loss-diverged"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the medians of the loss."""
        from voxcli.doctor.run.course import departure

        record = context.record
        if len(record.steps) < DIVERGED_STEPS:
            return
        found = departure(
            record.column("loss"),
            rise=DIVERGED_RISE,
            factor=DIVERGED_FACTOR,
            noise=DIVERGED_NOISE,
            lasting=DIVERGED_WINDOWS,
        )
        if found is None:
            return
        step = int(record.steps[found.at])
        best = [one.step for one in record.evaluations if one.best]
        usable = bool(best) and best[-1] < step and any(one.step == best[-1] for one in record.checkpoints)
        message = f"from about step {step} on the loss rose from {found.low:.3g} to {found.level:.3g} and stayed there"
        help = f"{record.lower_rate()}, with {record.key('warmup_steps')}=0.1 and {record.key('max_grad_norm')}=1.0"
        if usable:
            help += f"; the best checkpoint, of step {best[-1]}, is from before and can be used"
        yield Finding("warning" if usable else "error", message + _cause(record, found.at), help, where=f"step {step}")


def _cause(record: Record, at: int) -> str:
    """What the learning rate and the gradient did around that index."""
    import numpy as np

    said = ""
    rate = record.column("learning_rate")
    if np.isfinite(rate).any():
        peak = float(np.nanmax(rate))
        near = rate[max(0, at - 1) : at + 1]
        now = float(np.nanmax(near)) if np.isfinite(near).any() else 0.0
        if peak > 0 and now >= 0.5 * peak:
            share = "near its peak" if now < 0.95 * peak else "at its peak"
            said += f"; the learning rate was {share} of {peak:.2g}"
    norm = record.column("grad_norm")
    before, after = norm[max(0, at - 50) : at], norm[at : at + 50]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) >= 5 and len(after) >= 5 and np.median(after) > 3 * np.median(before) > 0:
        said += f", the gradient's norm went from {np.median(before):.2g} to {np.median(after):.2g}"
    return said
