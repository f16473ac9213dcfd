"""`[train] optim` -> an optimizer over the trainable parameters, with decay on weight matrices only.

The names are those of transformers' `OptimizerNames`. Those of torch and bitsandbytes are made here, because what they
need of the memory is predicted; all others by transformers' factory (`Trainer.get_optimizer_cls_and_kwargs`), with the
packages that it imports.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import torch

from voxcli.errors import RecipeError, TrainingError
from voxcli.recipe.schema import Train
from voxcli.train.rates import rates

BITSANDBYTES: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw_bnb_8bit": ("AdamW", {"optim_bits": 8}),
    "adamw_8bit": ("AdamW", {"optim_bits": 8}),
    "paged_adamw_32bit": ("AdamW", {"is_paged": True}),
    "paged_adamw_8bit": ("AdamW", {"optim_bits": 8, "is_paged": True}),
    "lion_32bit": ("Lion", {}),
    "lion_8bit": ("Lion", {"optim_bits": 8}),
    "paged_lion_32bit": ("Lion", {"is_paged": True}),
    "paged_lion_8bit": ("Lion", {"optim_bits": 8, "is_paged": True}),
}
NAMES = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop", *BITSANDBYTES)
"""Those that are made here."""

_PLAIN = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop}
_PACKAGES = {  # beginning of a name -> what `pip install` is told, and what is imported
    "ademamix": ("bitsandbytes", "bitsandbytes"),
    "paged_ademamix": ("bitsandbytes", "bitsandbytes"),
    "rmsprop_bnb": ("bitsandbytes", "bitsandbytes"),
    "adamw_torch_4bit": ("torchao", "torchao"),
    "adamw_torch_8bit": ("torchao", "torchao"),
    "galore": ("galore-torch", "galore_torch"),
    "apollo": ("apollo-torch", "apollo_torch"),
    "grokadamw": ("grokadamw", "grokadamw"),
    "stable_adamw": ("torch-optimi", "optimi"),
}
_ARGUMENTS: dict[str, tuple[str, ...]] = {  # beginning of a name -> keys of `optim_args`, as transformers reads them
    "sgd": ("momentum", "dampening", "nesterov"),
    "adagrad": ("lr_decay", "eps"),
    "rmsprop_bnb": (),
    "rmsprop": ("momentum", "alpha", "eps", "centered"),
    "ademamix": ("beta1", "beta2", "beta3", "alpha", "eps", "t_alpha", "t_beta3"),
    "paged_ademamix": ("beta1", "beta2", "beta3", "alpha", "eps", "t_alpha", "t_beta3"),
    "adamw_torch_4bit": ("bf16_stochastic_round",),
    "adamw_torch_8bit": ("bf16_stochastic_round",),
    "galore": ("rank", "update_proj_gap", "scale", "proj_type"),
    "apollo": ("rank", "proj", "scale_type", "update_proj_gap", "scale", "proj_type"),
    "grokadamw": ("alpha_init", "lamb", "gamma", "grokking_signal_decay_rate", "gradient_clipping"),
    "stable_adamw": ("max_lr", "kahan_sum", "decouple_lr"),
}
_REFUSED = {
    "adamw_torch_xla": "it is for TPUs (torch_xla), and voxcli trains on CPUs, CUDA and Apple's GPUs",
    "adamw_torch_npu_fused": "it is for Ascend NPUs (torch_npu), and voxcli trains on CPUs, CUDA and Apple's GPUs",
    "adamw_anyprecision": "its package, torchdistx, is no longer maintained",
    "lomo": "it updates within the backward pass, so that no mean over a whole step could be taken",
    "adalomo": "it updates within the backward pass, so that no mean over a whole step could be taken",
    "galore_adamw_layerwise": "it updates within the backward pass, so that no mean over a whole step could be taken",
    "galore_adamw_8bit_layerwise": "it updates within the backward pass, so that no mean over a step could be taken",
    "galore_adafactor_layerwise": "it updates within the backward pass, so that no mean over a step could be taken",
    "apollo_adamw_layerwise": "it updates within the backward pass, so that no mean over a step could be taken",
    "schedule_free_radam": "it has other weights for evaluation than for training; train.ema_decay averages likewise",
    "schedule_free_adamw": "it has other weights for evaluation than for training; train.ema_decay averages likewise",
    "schedule_free_sgd": "it has other weights for evaluation than for training; train.ema_decay averages likewise",
}
"""Names of transformers that no backend here can honour, and why."""


def names() -> tuple[str, ...]:
    """Every name that `optim` can have, sorted."""
    from transformers.training_args import OptimizerNames

    return tuple(sorted(str(member.value) for member in OptimizerNames if str(member.value) not in _REFUSED))


def check(train: Train) -> None:
    """Raise `RecipeError` where no optimizer is called so, it lacks its package, or does not know its arguments."""
    name = train.optim
    if name in _REFUSED:
        raise RecipeError(f"train.optim = '{name}' cannot be used: {_REFUSED[name]}", help=f"known: {', '.join(NAMES)}")
    if name not in NAMES and name not in names():
        close = difflib.get_close_matches(name, NAMES, n=1) or difflib.get_close_matches(name, names(), n=1)
        guess = f"did you mean `{close[0]}`? " if close else ""
        raise RecipeError(f"train.optim: no optimizer is called '{name}'", help=f"{guess}known: {', '.join(names())}")
    known = _beginning(_ARGUMENTS, name) or ()
    for key in train.optim_args:
        if key not in known:
            what = f"known: {', '.join(known)}" if known else "adam_beta1, weight_decay … are keys of [train]"
            raise RecipeError(f"train.optim_args: {name} has no argument '{key}'", help=what)
    low_rank = name.startswith(("galore", "apollo"))
    if low_rank and train.optim_target_modules is None:
        raise RecipeError(
            f"train.optim = '{name}' needs to know which layers it projects",
            help='train.optim_target_modules = "all-linear", or names of layers',
        )
    if low_rank and (train.layer_decay is not None or train.learning_rates):
        raise RecipeError(
            f"train.optim = '{name}' makes its own groups of parameters, and rates by layer need others",
            help="remove layer_decay and learning_rates, or use adamw_torch",
        )
    if package := _beginning(_PACKAGES, name):
        _importable(name, *package)


def groups(
    named: Iterable[tuple[str, torch.nn.Parameter]], *, weight_decay: float, own: Mapping[int, float] | None = None
) -> list[dict[str, Any]]:
    """Parameter groups: matrices and kernels with decay; biases, normalisation weights and single vectors without; each
    in two for every rate in `own` (id of a parameter -> rate).

    Vectors are told by their one dimension. Decay (arXiv 1711.05101) is for weights: it would pull a norm's gain to 0.
    """
    made: dict[tuple[float | None, bool], list[torch.nn.Parameter]] = {(None, True): [], (None, False): []}
    for _, parameter in named:
        if parameter.requires_grad:
            rate = (own or {}).get(id(parameter))
            made.setdefault((rate, parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": found, "weight_decay": weight_decay if decayed else 0.0} | ({"lr": rate} if rate is not None else {})
        for (rate, decayed), found in made.items()
        if found
    ]


def build(model: torch.nn.Module, train: Train, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of a run. Raises what `check` raises, `TrainingError` where nothing is trained, and `ModelError`
    for rates of parts that the model does not have."""
    check(train)
    own = rates(model, train) if train.layer_decay is not None or train.learning_rates else None
    parameters = groups(model.named_parameters(), weight_decay=train.weight_decay, own=own)
    if not parameters:
        raise TrainingError("every parameter is frozen: there is nothing to train", help="unfreeze a part, or add LoRA")
    rate = train.learning_rate
    adam: dict[str, Any] = {"lr": rate, "betas": (train.adam_beta1, train.adam_beta2), "eps": train.adam_epsilon}
    if train.optim in ("adamw_torch", "adamw_torch_fused"):
        return torch.optim.AdamW(parameters, **adam, fused=device.type in ("cuda", "cpu", "mps"))
    if train.optim == "adafactor":
        from transformers.optimization import Adafactor

        return Adafactor(parameters, lr=rate, scale_parameter=False, relative_step=False)
    if train.optim in BITSANDBYTES:
        return _bitsandbytes(parameters, train.optim, adam)
    if train.optim in _PLAIN:
        return _PLAIN[train.optim](parameters, lr=rate, **train.optim_args)
    return _of_transformers(model, train, parameters)


def _of_transformers(model: Any, train: Train, parameters: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """An optimizer by transformers' own factory."""
    from transformers import Trainer

    arguments = SimpleNamespace(
        optim=train.optim,
        optim_args=",".join(f"{key}={value}" for key, value in train.optim_args.items()) or None,
        optim_target_modules=_target(train.optim_target_modules),
        learning_rate=train.learning_rate,
        weight_decay=train.weight_decay,
        adam_beta1=train.adam_beta1,
        adam_beta2=train.adam_beta2,
        adam_epsilon=train.adam_epsilon,
        gradient_accumulation_steps=1,
        parallel_mode=None,
    )
    try:
        cls, keys = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
        given = keys.pop("params", parameters)
        made: torch.optim.Optimizer = cls([_trained(group) for group in given], **keys)
    except (ImportError, ValueError, TypeError, NotImplementedError) as error:
        raise TrainingError(
            f"train.optim = '{train.optim}' cannot be made: {str(error).splitlines()[0]}", help="use adamw_torch"
        ) from error
    return made


def _trained(group: dict[str, Any]) -> dict[str, Any]:
    """A group without what is frozen: transformers leaves it in those of low rank."""
    return {**group, "params": [one for one in group["params"] if one.requires_grad]}


def _target(modules: Any) -> Any:
    return list(modules) if isinstance(modules, tuple) else modules


def _beginning(table: Mapping[str, Any], name: str) -> Any:
    """The entry whose key the name begins with, the longest such key."""
    found = [key for key in table if name.startswith(key)]
    return table[max(found, key=len)] if found else None


def _importable(name: str, package: str, module: str) -> None:
    import importlib

    try:
        importlib.import_module(module)
    except ImportError as error:
        raise RecipeError(
            f"train.optim = '{name}' needs {package}, which cannot be imported: {error}",
            help=f"`pip install {package}`, or use adamw_torch",
        ) from error


def _bitsandbytes(parameters: list[dict[str, Any]], name: str, adam: dict[str, Any]) -> torch.optim.Optimizer:
    try:
        import bitsandbytes
    except ImportError as error:
        raise TrainingError(
            f"train.optim = '{name}' needs bitsandbytes, which cannot be imported: {error}",
            help="`pip install bitsandbytes`, or use adamw_torch",
        ) from error
    kind, extra = BITSANDBYTES[name]
    keys = {key: value for key, value in adam.items() if kind == "AdamW" or key != "eps"}
    made: torch.optim.Optimizer = getattr(bitsandbytes.optim, kind)(parameters, **keys, **extra)
    return made
