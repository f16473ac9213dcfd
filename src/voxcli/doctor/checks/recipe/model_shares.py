"""R112: shares of `[model]` that are none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_ENDINGS = ("dropout", "layerdrop", "_prob", "timestamps", "previous_text")
_FAMILIES = ("whisper", "ctc", "encoder-decoder", "classifier", "pretraining")
_OF_ALL = ("timestamps", "previous_text")  # may be 1: every utterance


class ShareOutOfRange:
    """A dropout, a share of masks or of timestamps in [model] is below 0 or not below 1.

    Why: they are shares, not per cent. transformers takes the config as it is; a dropout above 1 ends the run at its
    first step, one of exactly 1 leaves nothing to learn from, and `timestamps = 50` means every utterance.

    Repair: a share between 0 and 1: dropout 0.1, masks 0.05, timestamps 0.5.

    Sources: torch.nn.functional.dropout; arXiv 1904.08779; arXiv 2212.04356 (half of the examples with timestamps).
    """

    code: ClassVar[str] = "R112"
    name: ClassVar[str] = "share-out-of-range"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Keys of the families that voxcli brings."""
        recipe = context.recipe
        if recipe.model_type not in _FAMILIES:
            return
        model: Any = recipe.model
        for one in dataclasses.fields(model):
            value = getattr(model, one.name)
            if not one.name.endswith(_ENDINGS) or not isinstance(value, int | float):
                continue
            if 0 <= value < 1 or (value == 1 and one.name in _OF_ALL):
                continue
            upper = "1" if one.name in _OF_ALL else "below 1"
            context.without("limits", "skeleton", "bundle", "prediction")
            share = value / 100 if 1 < value < 100 else None
            yield Finding(
                "error",
                f"[model] {one.name} is {value:g}, expected a share from 0 to {upper}",
                f"{one.name} = {share:g}, if {value:g} % was meant" if share is not None else f"remove {one.name}",
                path=("model", one.name),
                fix=Fix({f"model.{one.name}": share}),
            )
