"""R136: a type for frozen weights where none is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.recipe.keys import without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_FREEZES = ("freeze_encoder", "freeze_feature_encoder", "freeze_layers")
_FAMILIES = ("whisper", "ctc")


class FrozenTypeOfNothing:
    """`frozen_dtype` is set, and no weight that it could be used for is frozen.

    Why: it halves the bytes of what is not trained. With full training that is nothing: the memory that was meant to be
    saved is not.

    Repair: remove it; or train less, with [adapter] or a key that freezes ([model] freeze_encoder, freeze_layers).

    Sources: voxcli.train.frozen.cast: matrices and kernels that need no gradient.
    """

    code: ClassVar[str] = "R136"
    name: ClassVar[str] = "frozen-type-of-nothing"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone; families of plugins may freeze by keys of their own."""
        recipe = context.recipe
        model: Any = recipe.model
        if recipe.train.frozen_dtype == "float32" or recipe.adapter is not None or recipe.model_type not in _FAMILIES:
            return
        if not recipe.train.freeze and not any(getattr(model, name, False) for name in _FREEZES):
            yield without_effect("train", ["frozen_dtype"], "every weight is trained, and those stay float32")
