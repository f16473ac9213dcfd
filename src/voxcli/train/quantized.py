"""`[quantization]` -> what transformers loads a frozen base with, and what bitsandbytes needs to be trained through."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterable
from typing import Any

from voxcli.errors import ModelError
from voxcli.recipe.schema import Quantization

LEFT_OUT = {
    "llm_int8_enable_fp32_cpu_offload": "weights on another device than the rest are not trained through",
    "llm_int8_has_fp16_weight": "keeps the weights in 16 bits: that is train.frozen_dtype",
    "bnb_4bit_quant_storage": "for sharding over several GPUs (FSDP), which is refused with [quantization]",
}
"""Keys of BitsAndBytesConfig that are no keys of [quantization], and why."""
# Output layers are learned. What comes out of feature_projection is changed in place by transformers (padding, masks),
# which autograd forbids for the outputs of bitsandbytes' products.
_NEVER = ("lm_head", "ctc_head", "proj_out", "feature_projection.projection")


def asked(quantization: Quantization | None) -> bool:
    """Whether weights are quantised at all."""
    return quantization is not None and (quantization.load_in_8bit or quantization.load_in_4bit)


def config(quantization: Quantization, *, keep: Iterable[str] = ()) -> Any:
    """The BitsAndBytesConfig for `from_pretrained`; layers called as in `keep` stay as they are, beside output layers.

    Raises `ModelError` where bitsandbytes is missing or broken.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says for every product that it casts its input
    try:
        import bitsandbytes  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"[quantization] needs bitsandbytes, which cannot be imported: {reason}",
            help="pip install bitsandbytes; or remove [quantization] and train the adapter over the float32 base",
        ) from error
    from transformers import BitsAndBytesConfig

    keys = dataclasses.asdict(quantization)
    skipped = dict.fromkeys([*_NEVER, *keep, *(quantization.llm_int8_skip_modules or ())])
    return BitsAndBytesConfig(**{**keys, "llm_int8_skip_modules": list(skipped)})


def make_trainable(model: Any) -> None:
    """Let gradients pass through bitsandbytes' layers at every step of a run, in place.

    On the CPU it repacks 4-bit weights for inference at the first evaluation; the repacked product has no gradient,
    and training would go on without learning anything beneath it. And DoRA, which reads the weights, makes peft replace
    an int8 weight on the CPU by a copy without its scales, which the next forward pass would take for the scales.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
        if hasattr(module, "init_8bit_state"):
            module.init_8bit_state = functools.partial(_keep_scales, module)


def _keep_scales(module: Any) -> None:
    scales = module.state.SCB
    type(module).init_8bit_state(module)
    if module.state.SCB is None:
        module.state.SCB = scales
