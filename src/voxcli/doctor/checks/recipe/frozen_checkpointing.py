"""R133: re-entrant checkpointing asked for beside voxcli's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_SWITCHES = ("activation_checkpointing",)
_KEYS = ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
_FREEZES = ("freeze_encoder", "freeze_feature_encoder", "freeze_layers")


class ReentrantCheckpointing:
    """The Trainer is told to checkpoint activations in its own way, over what may be frozen.

    Why: re-entrant checkpointing computes no gradient for a layer whose inputs need none. Over frozen first layers, and
    under every adapter, nothing behind them is trained, or the step ends with "element 0 of tensors does not require
    grad". voxcli's `gradient_checkpointing` is non-re-entrant, and over an int8 base re-entrant in a way that goes
    round this; what the Trainer is told overwrites it. Keys for the Trainer's checkpointing without its switch are not
    read at all.

    Repair: remove them; `[train] gradient_checkpointing = true`.

    Sources: transformers issues 21381 and 23170, pull request 43203; torch.utils.checkpoint;
    voxcli.train.recomputation.
    """

    code: ClassVar[str] = "R133"
    name: ClassVar[str] = "reentrant-checkpointing"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Only the transformers backend has such arguments."""
        recipe = context.recipe
        arguments: dict[str, Any] = getattr(recipe.backend, "arguments", None) or {}
        switches = [name for name in _SWITCHES if arguments.get(name)]
        keys = [name for name in _KEYS if arguments.get(name)]
        if not switches and not keys:
            return
        changes: dict[str, Any] = {f"backend.arguments.{name}": None for name in [*switches, *keys]}
        names = [*switches, *keys]
        path = ("backend", "arguments", names[0])
        help = f"remove {' and '.join(names)}; [train] gradient_checkpointing = true"
        if not switches:
            message = f"{names[0]} in [backend] arguments has no effect: [train] gradient_checkpointing is voxcli's own"
            yield Finding("warning", message, f"remove {names[0]}", path=path, fix=Fix(changes))
            return
        changes["train.gradient_checkpointing"] = True
        reentrant = any(isinstance(arguments.get(key), dict) and arguments[key].get("use_reentrant") for key in _KEYS)
        keys_of_model = any(getattr(recipe.model, name, False) for name in _FREEZES)
        frozen = recipe.adapter is not None or bool(recipe.train.freeze) or keys_of_model
        if reentrant and frozen:
            message = "re-entrant checkpointing over frozen layers: layers whose inputs need no gradient learn nothing"
            yield Finding("error", message, help, path=path, fix=Fix(changes))
        else:
            message = f"{names[0]} in [backend] arguments overwrites voxcli's own checkpointing"
            yield Finding("warning", message, help, path=path, fix=Fix(changes))
