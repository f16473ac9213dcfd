"""R106: which direction of the metric is taken for the better one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_BY_EVALUATION = ("reduce_lr_on_plateau", "greedy")
_OF_THE_TRAINER = ("metric_for_best_model", "greater_is_better", "load_best_model_at_end")


class MetricDirection:
    """The recipe takes the wrong direction of its metric for the better one, or names it where it is not read.

    Why: with `mode = "max"` and a word error rate, the scheduler lowers the learning rate whenever the model improves.
    In the transformers backend `metric_for_best_model`, `greater_is_better` and `load_best_model_at_end` decide
    nothing: the first of `[evaluate] metrics` picks the best checkpoint, and voxcli knows its direction. The Trainer's
    own default takes the highest word error rate for the best.

    Repair: leave `mode` and the three arguments out.

    Sources: voxcli.tasks.metrics and voxcli.train.schedule.build; transformers pull requests 7431 and 31142;
    torch.optim.lr_scheduler.ReduceLROnPlateau.
    """

    code: ClassVar[str] = "R106"
    name: ClassVar[str] = "metric-direction"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone."""
        from voxcli.tasks.metrics import METRICS

        recipe = context.recipe
        names = recipe.evaluate.metrics or recipe.task.metrics
        first = names[0] if names else "loss"
        known = METRICS.get(first)
        higher = known.higher_is_better if known else False
        better = f"the {'higher' if higher else 'lower'} {first} is the better one"
        mode = recipe.train.lr_scheduler_kwargs.get("mode")
        if recipe.train.lr_scheduler_type in _BY_EVALUATION and mode in ("min", "max") and (mode == "max") != higher:
            yield Finding(
                "error",
                f'lr_scheduler_kwargs.mode is "{mode}", and {better}: the rate would fall when the model improves',
                f'remove mode: the metric says it; or mode = "{"max" if higher else "min"}"',
                path=("train", "lr_scheduler_kwargs", "mode"),
                fix=Fix({"train.lr_scheduler_kwargs.mode": None}),
            )
        arguments: dict[str, Any] = getattr(recipe.backend, "arguments", None) or {}
        found = [name for name in _OF_THE_TRAINER if name in arguments]
        if found:
            wrong = "greater_is_better" in found and bool(arguments["greater_is_better"]) != higher
            said = f"; {better}, and greater_is_better says the opposite" if wrong else ""
            yield Finding(
                "warning",
                f"{' and '.join(found)} in [backend] arguments decide nothing: [evaluate] metrics picks the best "
                f"checkpoint by {first}{said}",
                f'remove them; the metric that decides: [evaluate] metrics = ["{first}", …]',
                path=("backend", "arguments", found[0]),
                fix=Fix({f"backend.arguments.{name}": None for name in found}),
            )
