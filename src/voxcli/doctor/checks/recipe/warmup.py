"""R103: `[train] warmup_steps` against the length of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.run_length import run_length
from voxcli.doctor.checks.recipe.scheduler_keys import WITHOUT_WARMUP
from voxcli.doctor.checks.thresholds import LONGEST_WARMUP, TRIAL, USUAL_WARMUP
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WarmupLongerThanRun:
    """The warm-up takes most of the run, or more than it has.

    Why: during the warm-up the learning rate rises from 0. A run that ends before its warm-up never learns at the rate
    that `learning_rate` names; the pre-training demo of the transformers examples warms up for 32,000 of its 20,000
    steps. A warm-up of half the run spends half of what it costs below that rate.

    Repair: a share instead of a number of steps, `warmup_steps = 0.1`, or a longer run.

    Sources: transformers examples, speech-pretraining README; shares below 1 as in transformers' TrainingArguments.
    """

    code: ClassVar[str] = "R103"
    name: ClassVar[str] = "warmup-longer-than-run"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Where the length is set in epochs the steps are counted from the data, which is not done before training."""
        train = context.recipe.train
        if train.lr_scheduler_type in WITHOUT_WARMUP:
            return  # R104
        total = train.max_steps
        if train.warmup_steps < 1:
            share, warmup = train.warmup_steps, None
        elif total is None:
            total = run_length(context).total
            share, warmup = train.warmup_steps / total, train.warmup_steps
        else:
            share, warmup = train.warmup_steps / total, train.warmup_steps
        if share <= LONGEST_WARMUP or (warmup == 1 and total == 1):
            return
        fix = Fix({"train.warmup_steps": USUAL_WARMUP})
        help = f"warmup_steps = {USUAL_WARMUP}: a share of the run"
        if share >= 1:
            message = f"the warm-up of {warmup:g} steps never ends: the run has {total}"
            tried = total is not None and total < TRIAL  # to see whether it runs, the recipe's warm-up may stay
            yield Finding("warning" if tried else "error", message, help, path=("train", "warmup_steps"), fix=fix)
        else:
            message = f"the warm-up takes {share:.0%} of the run"
            yield Finding("warning", message, help, path=("train", "warmup_steps"), fix=fix)
