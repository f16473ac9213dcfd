"""R109: what is frozen, or adapted, that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.trained import number
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class FrozenOrAdaptedWrongly:
    """An adapter over weights from nothing, or more frozen layers than the model has.

    Why: an adapter is a small change of what the frozen weights know, and weights that were drawn at random know
    nothing. `freeze_layers` beyond the last layer ends the run after the model was loaded.

    Repair: begin from a checkpoint, or without [adapter]; a smaller `freeze_layers`.

    Sources: arXiv 2106.09685, section 4; voxcli.train.lora.fitted and voxcli.models.freezing.
    """

    code: ClassVar[str] = "R109"
    name: ClassVar[str] = "frozen-or-adapted-wrongly"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe and the config."""
        recipe = context.recipe
        model: Any = recipe.model
        random = getattr(model, "checkpoint", None) is None and getattr(model, "architecture", None) is not None
        if random and (recipe.adapter is not None or recipe.quantization is not None):
            sections = [name for name in ("adapter", "quantization") if getattr(recipe, name) is not None]
            context.without("prediction")
            yield Finding(
                "error",
                f"[{sections[0]}] needs trained weights beneath it, and this model begins from random ones",
                f"remove {' and '.join(f'[{name}]' for name in sections)}, or set checkpoint in [model]",
                path=(sections[0],),
                fix=Fix(dict.fromkeys(sections)),
            )
        frozen = int(getattr(model, "freeze_layers", 0) or 0)
        if frozen and not random:
            layers = number(context.config, "num_hidden_layers")
            if layers and frozen > layers:
                context.without("skeleton", "bundle", "prediction")
                yield Finding(
                    "error",
                    f"freeze_layers is {frozen}, and the model has {layers} layers",
                    f"freeze_layers = {layers - 1}, or fewer",
                    path=("model", "freeze_layers"),
                    fix=Fix({"model.freeze_layers": layers - 1}),
                )
