"""R104: keys that the scheduler of `lr_scheduler_type` does not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import asked, without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
_WITHOUT_KEYS = ("constant", "constant_with_warmup")


class SchedulerKeyWithoutEffect:
    """A warm-up or `lr_scheduler_kwargs` are set, and the scheduler takes none.

    Why: `constant`, `reduce_lr_on_plateau` and `greedy` begin at the full rate whatever `warmup_steps` says, and a
    fine-tuning that begins at the full rate may lose what the checkpoint knew in its first steps. `constant` and
    `constant_with_warmup` drop `lr_scheduler_kwargs` without a word.

    Repair: `lr_scheduler_type = "constant_with_warmup"` where the warm-up is meant; else remove the key.

    Sources: transformers 5.23, transformers.optimization.get_scheduler.
    """

    code: ClassVar[str] = "R104"
    name: ClassVar[str] = "scheduler-key-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone."""
        train = context.recipe.train
        name = train.lr_scheduler_type
        if name in WITHOUT_WARMUP and train.warmup_steps > 0 and asked(train, "warmup_steps"):
            message = f'train.warmup_steps has no effect: the scheduler "{name}" begins at the full rate'
            if name == "constant":
                help = 'lr_scheduler_type = "constant_with_warmup"'
                fix = Fix({"train.lr_scheduler_type": "constant_with_warmup"})
            else:
                help, fix = "remove warmup_steps", Fix({"train.warmup_steps": None})
            yield Finding("warning", message, help, path=("train", "warmup_steps"), fix=fix)
        if name in _WITHOUT_KEYS and train.lr_scheduler_kwargs:
            yield without_effect("train", ["lr_scheduler_kwargs"], f'the scheduler "{name}" takes none')
