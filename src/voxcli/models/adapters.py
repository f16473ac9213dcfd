"""A built base model and an adapter's folder -> the model with the adapter in its layers, or merged into its weights.

Merging adds to each weight what the adapter adds to its product (LoRA, arXiv 2106.09685, section 4.1), in place and
layer by layer: the memory is that of the base and of one layer.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from typing import Any

from voxcli.errors import ModelError
from voxcli.models.checkpoint import explained, quietly


def attached(model: Any, checkpoint: str) -> Any:
    """The base inside a PeftModel; what the adapter has trained requires gradients, nothing else does.

    Raises `ModelError` where the adapter is damaged or does not fit.
    """
    # peft imports bitsandbytes, which warns of kernels for CPUs that nobody has asked for
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import PeftModel

    with quietly(), explained(checkpoint, "adapter"), warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found missing adapter keys")  # it would go on with random ones
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")  # see _part_tied
        try:
            return PeftModel.from_pretrained(model, checkpoint, is_trainable=True)
        except UserWarning as warning:
            raise ModelError(
                f"the adapter {checkpoint} is not whole: {str(warning).partition(': ')[2][:200]} are missing",
                help="copy it again from where it was trained: adapter_config.json and adapter_model.safetensors",
            ) from warning


def merged(model: Any, checkpoint: str) -> Any:
    """The transformers model of a PeftModel with the adapter in its weights; the PeftModel must not be used afterwards.

    Raises `ModelError` where a weight would become NaN.
    """
    _part_tied(model)
    with quietly(), explained(checkpoint, "adapter"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tied weights, which are parted
        return model.merge_and_unload(safe_merge=True)


def _part_tied(model: Any) -> None:
    """Give an adapted layer a weight of its own where it shares it with another layer, as an output layer does with the
    embeddings: merging would change both, while the adapter has changed the one. peft then says so in the config.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch import nn

    uses = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))
    for module in model.modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        layer = module.get_base_layer()
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter) and uses[id(weight)] > 1:
            uses[id(weight)] -= 1
            layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
