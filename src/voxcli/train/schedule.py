"""How long a run is, how its learning rate moves, and at which steps it evaluates and saves.

The schedulers are those of transformers (`transformers.optimization.get_scheduler`, names in `SchedulerType`).
"""

from __future__ import annotations

import functools
import inspect
import math
from dataclasses import dataclass
from typing import Any

import torch

from voxcli.errors import RecipeError
from voxcli.recipe.schema import Train

# Where eval_steps is not set. An evaluated utterance, decoded and scored, costs about what a trained one does
# (measured: 0.8 to 1.0 of it for Whisper on a processor).
MOST_EVALUATIONS = 10  # a run
EVALUATION_SHARE = 0.1  # of the time of training
FEWEST_EVALUATIONS = 4  # a run, where a smaller sample allows them
SMALLEST_SAMPLE = 50  # utterances: fewer say too little to choose a checkpoint by


@dataclass(frozen=True)
class Length:
    """The steps of a run and where it pauses."""

    total_steps: int
    steps_per_epoch: int
    warmup_steps: int
    eval_steps: int
    save_steps: int
    sample: int | None = None
    """Utterances of an evaluation, at most; None: all there are."""

    def evaluates_at(self, step: int) -> bool:
        """Whether the run is evaluated after `step`."""
        return step > 0 and (step % self.eval_steps == 0 or step == self.total_steps)

    def saves_at(self, step: int) -> bool:
        """Whether a checkpoint is written after `step`."""
        return step > 0 and (step % self.save_steps == 0 or step == self.total_steps)


def length(
    train: Train,
    *,
    batches_per_epoch: int,
    world: int,
    utterances: int = 0,
    validation: int = 0,
    most: int | None = None,
) -> Length:
    """Steps of a run from `[train]` and the number of batches of its first epoch.

    An epoch's last step takes what is left. `num_train_epochs` counts passes of the size of the first one: later
    epochs are cut into batches anew and may differ by a batch. `utterances` of the first epoch and of the validation
    split, of which `most` are evaluated, decide how often and on how many the run is evaluated, unless `eval_steps`
    is set: in a tenth of the time at most, as far as the smallest sample allows.
    """
    per_epoch = max(1, math.ceil(batches_per_epoch / (world * train.gradient_accumulation_steps)))
    if train.max_steps is not None:
        total = train.max_steps
    elif train.num_train_epochs is not None:
        total = math.ceil(train.num_train_epochs * per_epoch)
    else:
        raise RecipeError(
            "the length of the run is not set", help="set train.max_steps = 1000, or train.num_train_epochs = 3"
        )
    if total < 1:
        raise RecipeError(f"the run would take {total} steps", help="set train.max_steps to 1 or more")
    share = train.warmup_steps
    warmup = math.ceil(total * share) if share < 1 else int(share)
    sample = most
    evaluate = train.eval_steps
    if evaluate is None:
        evaluate = max(per_epoch, math.ceil(total / MOST_EVALUATIONS))
        per_step = utterances / per_epoch
        if per_step and validation:
            fewest = min(FEWEST_EVALUATIONS, math.ceil(total / evaluate))
            room = max(SMALLEST_SAMPLE, int(EVALUATION_SHARE * total * per_step / fewest))
            sample = min(room, validation if most is None else most)
            evaluate = max(evaluate, math.ceil(min(sample, validation) / (EVALUATION_SHARE * per_step)))
    evaluate = min(evaluate, total)
    return Length(total, per_epoch, warmup, evaluate, min(train.save_steps or evaluate, total), sample)


NAMES = (
    "constant",
    "constant_with_warmup",
    "cosine",
    "cosine_warmup_with_min_lr",
    "cosine_with_min_lr",
    "cosine_with_restarts",
    "greedy",
    "inverse_sqrt",
    "linear",
    "polynomial",
    "reduce_lr_on_plateau",
    "warmup_stable_decay",
)
"""transformers' SchedulerType, whose import costs seconds. A newer transformers may have more."""


def check(name: str) -> None:
    """Raise `RecipeError` where no scheduler is called `name`."""
    if name in NAMES:
        return
    from transformers.trainer_utils import SchedulerType

    known = [str(member.value) for member in SchedulerType]
    if name not in known:
        raise RecipeError(
            f"train.lr_scheduler_type: no scheduler is called '{name}'", help=f"known: {', '.join(sorted(known))}"
        )


def build(optimizer: torch.optim.Optimizer, train: Train, run: Length, *, higher_is_better: bool) -> Any:
    """The scheduler of a run. Raises `RecipeError` where `lr_scheduler_kwargs` do not fit it."""
    check(train.lr_scheduler_type)
    keys = dict(train.lr_scheduler_kwargs)
    if train.lr_scheduler_type in _FACTORS and not keys:
        factor = functools.partial(
            _FACTORS[train.lr_scheduler_type], warmup=run.warmup_steps, total=run.total_steps
        )  # a partial, which a checkpoint takes
        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    from transformers.optimization import get_scheduler

    if train.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy"):
        keys.setdefault("mode", "max" if higher_is_better else "min")
    try:
        return get_scheduler(
            train.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=run.warmup_steps,
            num_training_steps=run.total_steps,
            scheduler_specific_kwargs=keys,
        )
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"train.lr_scheduler_kwargs do not fit the scheduler '{train.lr_scheduler_type}': {error}",
            help="they are handed to transformers' get_scheduler",
        ) from error


def _linear(step: int, *, warmup: int, total: int) -> float:
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


def _cosine(step: int, *, warmup: int, total: int) -> float:
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * ((step - warmup) / max(1, total - warmup)))))


def _constant_with_warmup(step: int, *, warmup: int, total: int) -> float:
    return step / max(1.0, warmup) if step < warmup else 1.0


_FACTORS = {"linear": _linear, "cosine": _cosine, "constant_with_warmup": _constant_with_warmup}
"""The usual schedulers of transformers without its optimization module, which imports peft and bitsandbytes (1.7 s)."""


def follows_metric(scheduler: Any) -> bool:
    """Whether the scheduler steps at evaluations, with a metric, instead of at every step."""
    parameter = inspect.signature(scheduler.step).parameters.get("metrics")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def after_step(scheduler: Any) -> None:
    """Move the learning rate on by one step, where the scheduler goes by steps."""
    if not follows_metric(scheduler):
        scheduler.step()


def after_evaluation(scheduler: Any, value: float) -> None:
    """Tell the metric's value to a scheduler that goes by it."""
    if follows_metric(scheduler):
        scheduler.step(value)


def set_rates(scheduler: Any) -> None:
    """Give the optimizer the rates of the step that the scheduler stands at.

    After a resume they are those of the schedule as it is now: a run made longer has others than it was saved with.
    """
    for group, base, factor in zip(
        scheduler.optimizer.param_groups,
        getattr(scheduler, "base_lrs", ()),
        getattr(scheduler, "lr_lambdas", ()),  # every scheduler of transformers that goes by steps has them
        strict=False,
    ):
        group["lr"] = base * factor(scheduler.last_epoch)
