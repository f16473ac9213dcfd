"""R118: keys of evaluation without a split to evaluate on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import asked
from voxcli.doctor.checks.thresholds import HELD_OUT, HELD_OUT_UTTERANCES, MOST_HELD_OUT
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class NothingToEvaluateOn:
    """The recipe asks for evaluations, early stopping or a scheduler that follows the metric, and has no validation
    split.

    Why: without such a split nothing is measured during the run. `eval_steps` and `early_stopping_patience` do nothing,
    `reduce_lr_on_plateau` never lowers the rate, and the newest checkpoint is taken for the best.

    Repair: `[holdout] validation = 0.05` cuts one from the training split, by text; or a validation split in [[data]].

    Sources: voxcli.train.run; docs/data.md, keys of [holdout].
    """

    code: ClassVar[str] = "R118"
    name: ClassVar[str] = "nothing-to-evaluate-on"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """After `[filter]` and `[holdout]`."""
        recipe = context.recipe
        splits = context.data.splits
        if len(splits.validation):
            return
        keys = [("train", name) for name in asked(recipe.train, "early_stopping_patience", "eval_steps")]
        if recipe.train.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy"):
            keys.append(("train", "lr_scheduler_type"))
        if not keys:
            return
        listed = len(context.data.listed("validation"))
        gone = f": all {listed} utterances of it are left out" if listed else ""
        share = min(MOST_HELD_OUT, max(HELD_OUT, round(HELD_OUT_UTTERANCES / len(splits.train), 2)))
        held = None if listed or recipe.holdout.validation else Fix({"holdout.validation": share})
        names = " and ".join(name for _, name in keys)
        help = f"[holdout] validation = {share}, or a validation split in [[data]]"
        if listed:
            help = "see what [filter] and the model leave out: `vox train RECIPE --dry-run`"
        yield Finding(
            "warning",
            f"{names} {'has' if len(keys) == 1 else 'have'} nothing to go by: there is no validation split{gone}",
            help,
            path=keys[0],
            fix=held,
        )
