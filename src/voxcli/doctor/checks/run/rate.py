"""T116: a learning rate that was not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import RATE_OVER, RATE_STEPS, USUAL_WARMUP
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LearningRateOff:
    """The learning rate was 0, still rising when the run ended, or 0 long before the end.

    Why: at a rate of 0 nothing is learned, and the loss shows only the noise of the batches. A schedule that was made
    for another length (a run that was made longer, a warm-up in steps of a run that was made shorter) does that for a
    part of the run without a message.

    Repair: `train.warmup_steps = 0.1`, a share of the run, and a schedule that ends with the run.

    Sources: transformers.get_scheduler; transformers examples, speech-pretraining README (32,000 steps of warm-up in a
    demo of 20,000).
    """

    code: ClassVar[str] = "T116"
    name: ClassVar[str] = "learning-rate-off"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the rates of the log."""
        import numpy as np

        record = context.record
        rate = record.column("learning_rate")
        fine = np.isfinite(rate)
        steps, rate = record.steps[fine], rate[fine]
        if len(rate) < RATE_STEPS:
            return
        over = record.status in ("finished", "stopped early")
        where = f"step {record.last_step}"
        help = f"{record.key('warmup_steps')}={USUAL_WARMUP}, and a schedule that ends with the run"
        if not (rate > 0).any():
            message = f"the learning rate was 0 in all {len(rate)} logged steps: nothing was learned"
            yield Finding("error", message, f"{record.key('learning_rate')}=1e-4; {help}", where=where)
            return
        if over and rate[-1] == rate.max() > rate[len(rate) // 2] and (np.diff(rate) > 0).all():
            planned = record.train.get("learning_rate")
            to = f" of {planned:.2g}" if isinstance(planned, float) and planned > 1.01 * rate[-1] else ""
            message = f"the learning rate still rose when the run ended: it reached {rate[-1]:.2g}{to}"
            yield Finding("warning", message, help, where=where)
            return
        last = int(np.flatnonzero(rate > 0)[-1])
        idle = len(rate) - 1 - last
        if idle > max(RATE_STEPS, RATE_OVER * len(rate)):
            message = f"the learning rate is 0 from step {steps[last + 1]} on: {idle} logged steps taught nothing"
            yield Finding("warning", message, help, where=f"step {steps[last + 1]}")
