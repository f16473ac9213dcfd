"""What has to fit together across the keys of a recipe, checked before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcli.api import Finding
from voxcli.recipe import combinations
from voxcli.recipe.cuts import check_cuts
from voxcli.recipe.problems import Problems
from voxcli.recipe.validate import defaults
from voxcli.recipe.where import Key, Place, nearest

if TYPE_CHECKING:
    from voxcli.recipe.load import Tables

_AT_LEAST = {  # key -> smallest sensible value, and whether it is allowed itself
    ("filter", "min_duration"): (0, True),
    ("filter", "max_duration"): (0, False),
    ("filter", "min_characters"): (0, True),
    ("filter", "max_characters"): (1, True),
    ("filter", "max_characters_per_second"): (0, False),
    ("adapter", "r"): (1, True),
    ("adapter", "lora_alpha"): (1, True),
    ("train", "max_steps"): (1, True),
    ("train", "num_train_epochs"): (0, False),
    ("train", "learning_rate"): (0, False),
    ("train", "warmup_steps"): (0, True),
    ("train", "weight_decay"): (0, True),
    ("train", "adam_epsilon"): (0, False),
    ("train", "max_grad_norm"): (0, True),
    ("train", "average_checkpoints"): (0, True),
    ("train", "batch_duration"): (0, False),
    ("train", "per_device_train_batch_size"): (1, True),
    ("train", "gradient_accumulation_steps"): (1, True),
    ("train", "dataloader_num_workers"): (0, True),
    ("train", "logging_steps"): (1, True),
    ("train", "eval_steps"): (1, True),
    ("train", "save_steps"): (1, True),
    ("train", "save_total_limit"): (1, True),
    ("train", "early_stopping_patience"): (1, True),
    ("evaluate", "max_utterances"): (1, True),
    ("evaluate", "batch_duration"): (0, False),
    ("evaluate", "num_beams"): (1, True),
    ("evaluate", "max_new_tokens"): (1, True),
    ("evaluate", "no_repeat_ngram_size"): (0, True),
}
_SHARES = (
    ("adapter", "lora_dropout"),
    ("train", "adam_beta1"),
    ("train", "adam_beta2"),
    ("train", "ema_decay"),
    ("holdout", "validation"),
    ("holdout", "test"),
)


def check(tables: Tables, core: Mapping[str, Any], backend: type | None, task: Any, problems: Problems) -> None:
    """Add a finding for each contradiction.

    `core` holds the core tables, None where one is absent or no table; `backend` and `task` are None where unknown.
    """
    faulty = {finding.path[0] for finding in problems.errors if finding.path}
    _ranges(core, problems)
    if tables.complete and "train" not in faulty:
        _length_and_batch(core["train"], tables.values, problems)
    if core["train"] is not None and "train" not in faulty:
        _rates(core["train"], problems)
    combinations.check(core, task, problems)
    check_cuts(core["filter"], task, problems)
    if core["quantization"] is not None and "adapter" not in tables.values:
        help = "add [adapter] (LoRA), or remove [quantization]"
        problems.add("R015", "a quantised model has no weights to train without [adapter]", help, ("quantization",))
    if backend is not None and core["train"] is not None:
        _supported(core["train"], backend, tables.values, problems)
    if task is not None and core["evaluate"] is not None:
        _metrics(core["evaluate"], task, problems)
    if task is not None and "decoder" in tables.values and not hasattr(task, "check_decoding"):
        message = "[decoder] reads the frames of a CTC model, and this model is none"
        problems.add(
            "R016",
            message,
            "remove [decoder]; num_beams of [evaluate] is for models that write token by token",
            ("decoder",),
        )


def own_findings(component: Any, at: Key, problems: Problems) -> None:
    """What a component's optional `findings()` says of its own keys, with the path that leads there.

    Nothing is repeated of a path that is already known to be missing.
    """
    missing = {finding.path for finding in problems.findings if finding.code == "R017"}
    for finding in getattr(component, "findings", tuple)():
        path = (*at, *finding.path)
        if path not in missing:
            problems.findings.append(replace(finding, path=path, code=finding.code or "R016"))


def place_of(finding: Finding, places: Mapping[Key, Place]) -> Place | None:
    """Where the key of a finding was set."""
    return nearest(places, finding.path)


def _ranges(core: Mapping[str, Any], problems: Problems) -> None:
    for (section, name), (limit, allowed) in _AT_LEAST.items():
        value = getattr(core[section], name, None)
        if value is not None and (value < limit or (value == limit and not allowed) or value != value):
            word = "at least" if allowed else "more than"
            problems.add("R006", f"{section}.{name} is {value}, expected {word} {limit}", None, (section, name))
    for section, name in _SHARES:
        value = getattr(core[section], name, None)
        if value is not None and not 0 <= value < 1:
            problems.add("R006", f"{section}.{name} is {value}, expected 0 to below 1", None, (section, name))
    filter, holdout = core["filter"], core["holdout"]
    shortest, longest = getattr(filter, "min_duration", None), getattr(filter, "max_duration", None)
    if shortest is not None and longest is not None and shortest >= longest:
        message = f"min_duration ({shortest} s) is not below max_duration ({longest} s)"
        problems.add("R006", message, "nothing would be left", ("filter", "min_duration"))
    if holdout is not None and holdout.validation + holdout.test >= 1:
        message = "validation and test together take the whole training split"
        problems.add("R006", f"[holdout] {message}", "shares below 1, for example 0.05", ("holdout",))


def _rates(train: Any, problems: Problems) -> None:
    decay, at = train.layer_decay, ("train", "layer_decay")
    if decay is not None and not 0 < decay <= 1:
        problems.add("R006", f"train.layer_decay is {decay}, expected above 0, to 1", "0.9 is usual", at)
    for name, rate in train.learning_rates.items():
        if not rate > 0:
            message = f"the learning rate of '{name}' is {rate}, expected more than 0"
            problems.add("R006", message, f'freeze = ["{name}"] leaves it as it is', ("train", "learning_rates", name))
    if train.average_checkpoints == 1:
        message = "average_checkpoints is 1, and one checkpoint is its own average"
        problems.add("R006", message, "5 is usual, 0 averages nothing", ("train", "average_checkpoints"))


def _length_and_batch(train: Any, values: Mapping[str, Any], problems: Problems) -> None:
    if train.max_steps is None and train.num_train_epochs is None:
        help = "add `max_steps` or `num_train_epochs` to [train]"
        problems.add("R010", "the run has no length: neither max_steps nor num_train_epochs is set", help, ("train",))
    both = train.batch_duration is not None and train.per_device_train_batch_size is not None
    neither = train.batch_duration is None and train.per_device_train_batch_size is None
    if neither:
        help = "add `batch_duration = 60.0` (s of audio per device and step) to [train]"
        message = "batches have no size: neither batch_duration nor per_device_train_batch_size is set"
        problems.add("R011", message, help, ("train",))
    if both:
        message = "batch_duration and per_device_train_batch_size are both set, and only one can decide"
        help = 'remove one; an inherited one by `unset = ["train.batch_duration"]`, or `~train.batch_duration`'
        problems.add("R011", message, help, ("train", "per_device_train_batch_size"))


def _supported(train: Any, backend: type, values: Mapping[str, Any], problems: Problems) -> None:
    """Keys that are set to something else than their default, which is what happens without them."""
    usual = defaults(type(train)())
    for name, value in defaults(train).items():
        if (
            name in values.get("train", {})
            and name not in getattr(backend, "supports", ())
            and usual.get(name) != value
        ):
            kind = values.get("backend", {}).get("type", "this")
            message = f"the {kind} backend does not honour train.{name}"
            problems.add("R012", message, "remove the key, or choose another [backend] type", ("train", name))


def _metrics(evaluate: Any, task: Any, problems: Problems) -> None:
    if evaluate.metrics is not None and not evaluate.metrics:
        problems.add("R013", "metrics is empty, and the first picks the best checkpoint", None, ("evaluate", "metrics"))
    for index, name in enumerate(evaluate.metrics or ()):
        if name not in task.metrics:
            help = Problems.suggestion(name, task.metrics)
            problems.add("R013", f"the task has no metric '{name}'", help, ("evaluate", "metrics", index))
