"""Parts of an acoustic model that stay as they are in training, found by name in every architecture."""

from __future__ import annotations

import logging
from typing import Any

from voxcli.errors import ModelError

log = logging.getLogger(__name__)

_FRONT_ENDS = ("feature_extractor", "subsampling", "subsampler", "feature_projection")  # in the order of preference
_NOT_LAYERS = ("conv", "subsampl", "feature_extractor", "adapter")


def freeze_feature_encoder(model: Any) -> str | None:
    """Freeze what turns samples or log-mel into the transformer's input; return its name, None where there is none."""
    if hasattr(model, "freeze_feature_encoder"):  # wav2vec 2.0 and its relatives: the convolutions
        model.freeze_feature_encoder()
        return "feature_extractor"
    for wanted in _FRONT_ENDS:
        for name, module in model.named_modules():
            if name.rpartition(".")[2] == wanted:
                module.requires_grad_(False)
                return str(name)
    log.warning("%s has no feature encoder to freeze: all of it is trained", type(model).__name__)
    return None


def freeze_layers(model: Any, count: int) -> None:
    """Freeze the first `count` transformer layers. Raises `ModelError` where the model has fewer."""
    from torch import nn

    sizes = getattr(model.config, "encoder_config", model.config)
    stacks = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == sizes.num_hidden_layers
        and not any(part in name for part in _NOT_LAYERS)
    ]
    if not stacks or count > len(stacks[0]):
        raise ModelError(
            f"freeze_layers is {count}, the model has {len(stacks[0]) if stacks else 0} layers",
            help="freeze fewer, or freeze_feature_encoder alone",
        )
    for layer in stacks[0][:count]:
        layer.requires_grad_(False)
