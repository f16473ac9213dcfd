"""R137: sizes in `[model.config]` beside a checkpoint that has others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_SHAPES = (
    "hidden_size",
    "intermediate_size",
    "conv_dim",
    "conv_kernel",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "feature_projection_input_dim",
    "num_mel_bins",
    "subsampling_factor",
    "subsampling_conv_channels",
    "conv_kernel_size",
    "conv_depthwise_kernel_size",
)
_LAYERS = "num_hidden_layers"


class SizesOfAnotherModel:
    """`[model.config]` changes the shapes of a checkpoint's weights, or the number of its layers.

    Why: with a checkpoint these keys change its config, and its weights have the shapes that they have: loading them
    fails. More layers than the checkpoint has begin at random between those that were trained; fewer drop the last
    ones, which is a smaller model and may be meant.

    Repair: sizes belong to `architecture`, which begins from random weights; with a checkpoint leave them out.

    Sources: transformers, PreTrainedModel.from_pretrained (size mismatch; newly initialised weights).
    """

    code: ClassVar[str] = "R137"
    name: ClassVar[str] = "sizes-of-another-model"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe and config.json."""
        model: Any = context.recipe.model
        asked: dict[str, Any] = getattr(model, "config", None) or {}
        if getattr(model, "checkpoint", None) is None or not asked:
            return
        stored = context.config
        tables: list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = [(("model", "config"), asked, stored)]
        if isinstance(asked.get("encoder_config"), dict):
            tables.append((("model", "config", "encoder_config"), asked["encoder_config"], stored))
        for path, keys, whole in tables:
            for key, value in keys.items():
                own = _stored(whole, key)
                if own is None or own == value or (key not in _SHAPES and key != _LAYERS):
                    continue
                fewer = key == _LAYERS and value < own
                effect = "its weights cannot be loaded"
                if key == _LAYERS:
                    effect = f"the last {own - value} are dropped" if fewer else f"{value - own} begin at random"
                yield Finding(
                    "note" if fewer else "error" if key in _SHAPES else "warning",
                    f"{model.checkpoint} has {key} = {own}, and [model.config] says {value}: {effect}",
                    f"remove {key}; sizes are for `architecture`, which begins from random weights",
                    path=(*path, key),
                    fix=None if fewer else Fix({".".join((*path, key)): None}),
                )


def _stored(config: dict[str, Any], key: str) -> Any:
    encoder = config.get("encoder_config")
    return encoder[key] if isinstance(encoder, dict) and key in encoder else config.get(key)
