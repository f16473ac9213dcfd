"""What a recipe trains: an adapter, an output layer, every weight of a checkpoint, or weights from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

What = Literal["adapter", "output layer", "checkpoint", "random weights"]


@dataclass(frozen=True)
class Trained:
    """What the optimizer moves, and in what."""

    what: What
    task: str
    width: int | None
    """Of the layers; None where the config does not say it."""


def trained(context: Context) -> Trained:
    """From the recipe, and the config where it can be had."""
    from voxcli.doctor.context import Unavailable

    recipe = context.recipe
    model: Any = recipe.model
    try:
        config = dict(context.config)
    except Unavailable:
        config = {}
    sizes = {**config, **(getattr(model, "config", None) or {})}
    width = next((number(sizes, key) for key in ("d_model", "hidden_size") if number(sizes, key)), None)
    what: What = "checkpoint"
    layers = number(sizes, "num_hidden_layers") or number(sizes, "encoder_layers")
    all_frozen = recipe.task_name == "classification" and getattr(model, "freeze_encoder", False)
    if recipe.adapter is not None:
        what = "adapter"
    elif getattr(model, "checkpoint", None) is None and getattr(model, "architecture", None) is not None:
        what = "random weights"
    elif layers and (all_frozen or int(getattr(model, "freeze_layers", 0) or 0) >= layers):
        what = "output layer"
    return Trained(what, recipe.task_name, width)


def number(sizes: dict[str, Any], key: str) -> int | None:
    """A size of a config, or of the encoder in it."""
    value = sizes.get(key)
    if value is None and isinstance(sizes.get("encoder_config"), dict):
        value = sizes["encoder_config"].get(key)
    return value if isinstance(value, int) else None
