"""`[train] optim` -> an optimizer over the trainable parameters, with decay on weight matrices only.

The names are those of transformers' `OptimizerNames`; bitsandbytes is imported only when its optimizers are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from voxcli.errors import RecipeError, TrainingError
from voxcli.recipe.schema import Train

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


def check(name: str) -> None:
    """Raise `RecipeError` where no optimizer is called `name`."""
    if name not in NAMES:
        import difflib

        close = difflib.get_close_matches(name, NAMES, n=1)
        guess = f"did you mean `{close[0]}`? " if close else ""
        raise RecipeError(f"train.optim: no optimizer is called '{name}'", help=f"{guess}known: {', '.join(NAMES)}")


def groups(named: Iterable[tuple[str, torch.nn.Parameter]], *, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: matrices and kernels with decay; biases, normalisation weights and single vectors without.

    Vectors are told by their one dimension. Decay (arXiv 1711.05101) is for weights: it would pull a norm's gain to 0.
    """
    decayed: list[torch.nn.Parameter] = []
    spared: list[torch.nn.Parameter] = []
    for _, parameter in named:
        if parameter.requires_grad:
            (decayed if parameter.ndim >= 2 else spared).append(parameter)
    made = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in made if group["params"]]


def build(model: torch.nn.Module, train: Train, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of a run. Raises `RecipeError` for an unknown name, `TrainingError` where nothing is trained."""
    check(train.optim)
    parameters = groups(model.named_parameters(), weight_decay=train.weight_decay)
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
    plain = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop}
    return plain[train.optim](parameters, lr=rate)


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
