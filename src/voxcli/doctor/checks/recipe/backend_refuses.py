"""R105: what the backend will refuse when the run begins, asked before it does."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import ASSUMED_STEPS
from voxcli.errors import RecipeError
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.recipe.resolve import Recipe

_KEY = re.compile(r"((?:train|backend)(?:\.\w+)+)")
_SET_BY_VOXCLI = {  # keys of TrainingArguments that the transformers backend passes itself, and where they are set
    "seed": "`seed`",
    "report_to": "[backend] report_to",
    "run_name": "[backend] run_name",
    "ddp_find_unused_parameters": "[backend] ddp_find_unused_parameters",
    "ddp_backend": "[backend] ddp_backend",
    "torch_compile": "[backend] torch_compile",
    "logging_nan_inf_filter": "voxcli itself",
    "save_strategy": "[train] save_steps",
    "eval_strategy": "[train] eval_steps",
    "remove_unused_columns": "voxcli itself",
    "label_names": "voxcli itself",
    "disable_tqdm": "voxcli itself",
}
_FAILS = {
    "eval_on_start": "the Trainer is given no evaluation data: voxcli evaluates",
    "dataloader_prefetch_factor": "the Trainer is given no data loader workers: voxcli reads",
}


class BackendRefuses:
    """The backend has no such optimizer, scheduler or argument, or the scheduler does not take what it is given.

    Why: these names are checked when the run begins, those of `lr_scheduler_kwargs` only after the data was read and
    the model loaded, which for a large model is many minutes later.

    Repair: the name that is meant; the help of the finding lists what there is.

    Sources: voxcli.train.optimizer and voxcli.train.schedule; transformers 5.23: SchedulerType, get_scheduler.
    """

    code: ClassVar[str] = "R105"
    name: ClassVar[str] = "backend-refuses"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """The backend's own check, then the scheduler made for an optimizer of one weight."""
        recipe = context.recipe
        if check := getattr(recipe.backend, "check", None):
            try:
                check(recipe.train)
            except RecipeError as error:
                yield _refused(error, recipe)
                return
        if recipe.tables["backend"]["type"] == "transformers":
            yield from _arguments(recipe)
        if recipe.tables["backend"]["type"] in ("accelerate", "transformers"):
            yield from _scheduler(recipe)


def _refused(error: RecipeError, recipe: Recipe) -> Finding:
    found = _KEY.match(error.message)
    key = found[1] if found else "backend"
    fix: Fix | None = None
    if key.startswith("backend.arguments."):
        fix = Fix({key: None})
    elif found:
        known = str(error.help or "").rpartition("known: ")[2].split(", ")
        name = str(getattr(recipe.train, key.rpartition(".")[2], ""))
        guessed = re.findall(r"did you mean `([^`]+)`", str(error.help or ""))
        meant = guessed or difflib.get_close_matches(name, known, n=1) or [one for one in known if one.startswith(name)]
        fix = Fix({key: meant[0]}) if meant and meant[0] else None
    return Finding("error", error.message, error.help or "see the backend's keys", path=tuple(key.split(".")), fix=fix)


def _arguments(recipe: Recipe) -> Iterator[Finding]:
    arguments: dict[str, Any] = getattr(recipe.backend, "arguments", {})
    for name, where in _SET_BY_VOXCLI.items():
        if name in arguments:
            message = f"backend.arguments.{name} is set twice: by {where} as well, and the Trainer would not begin"
            help = f"remove it from arguments; it is set by {where}"
            yield Finding(
                "error",
                message,
                help,
                path=("backend", "arguments", name),
                fix=Fix({f"backend.arguments.{name}": None}),
            )
    for name, why in _FAILS.items():
        if arguments.get(name):
            yield Finding(
                "error",
                f"backend.arguments.{name} ends the run at once: {why}",
                f"remove {name}",
                path=("backend", "arguments", name),
                fix=Fix({f"backend.arguments.{name}": None}),
            )


def _scheduler(recipe: Recipe) -> Iterator[Finding]:
    import torch

    from voxcli.train.schedule import Length, build

    total = recipe.train.max_steps or ASSUMED_STEPS
    share = recipe.train.warmup_steps
    length = Length(total, total, int(total * share if share < 1 else share), total, total)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.train.learning_rate)
    try:
        build(optimizer, recipe.train, length, higher_is_better=False)
    except RecipeError as error:
        yield Finding(
            "error",
            error.message,
            f"{error.help}; see the function of this name there",
            path=("train", "lr_scheduler_kwargs"),
            fix=_repaired(recipe, optimizer, length),
        )


def _repaired(recipe: Recipe, optimizer: Any, length: Any) -> Fix:
    """Without the keys that do not fit, or, where the scheduler needs keys, the default scheduler."""
    import dataclasses

    from voxcli.train.schedule import build

    try:
        build(optimizer, dataclasses.replace(recipe.train, lr_scheduler_kwargs={}), length, higher_is_better=False)
    except RecipeError:
        return Fix({"train.lr_scheduler_type": "linear", "train.lr_scheduler_kwargs": None})
    return Fix({"train.lr_scheduler_kwargs": None})
