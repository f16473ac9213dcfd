"""R103: `[train] warmup_steps` against the length of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import LONGEST_WARMUP, USUAL_WARMUP
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
        """Where the length is set in steps; in epochs it depends on the data."""
        train = context.recipe.train
        if train.max_steps is None and train.warmup_steps >= 1:
            return
        steps = train.warmup_steps if train.warmup_steps >= 1 else train.warmup_steps * (train.max_steps or 1)
        share = steps / train.max_steps if train.max_steps else train.warmup_steps
        if share <= LONGEST_WARMUP:
            return
        fix = Fix({"train.warmup_steps": USUAL_WARMUP})
        help = f"warmup_steps = {USUAL_WARMUP}: a share of the run"
        if share >= 1:
            message = f"the warm-up of {steps:g} steps never ends: the run has {train.max_steps or 'no more'}"
            yield Finding("error", message, help, path=("train", "warmup_steps"), fix=fix)
        else:
            message = f"the warm-up takes {share:.0%} of the run"
            yield Finding("warning", message, help, path=("train", "warmup_steps"), fix=fix)
