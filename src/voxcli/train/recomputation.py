"""Gradient checkpointing (arXiv 1604.06174): activations are computed again in the backward pass instead of kept.

Non-re-entrant, except over an int8 base: bitsandbytes' int8 product keeps its input in an attribute, which only
re-entrant checkpointing drops (Whisper large-v3, LoRA, 8 clips: 5 GiB instead of 17).
https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from voxcli.errors import ModelError


def enable(model: Any, *, reentrant: bool) -> None:
    """Checkpoint the layers of a transformers model, in place. Raises `ModelError` where it does not support that."""
    try:
        model.activation_checkpointing_enable({"use_reentrant": reentrant})
    except ValueError as error:
        raise ModelError(
            f"{type(model).__name__} has no gradient checkpointing", help="train.gradient_checkpointing = false"
        ) from error
    model.config.use_cache = False  # what is saved has it
    if not reentrant:
        return
    for module in model.modules():
        if hasattr(module, "_gradient_checkpointing_func"):
            learns = any(one.requires_grad for one in module.parameters())
            module._gradient_checkpointing_func = functools.partial(_checkpointed, learns=learns, use_reentrant=True)


def _checkpointed(function: Any, *inputs: Any, learns: bool, use_reentrant: bool) -> Any:
    """Checkpoint a layer: `function` is its forward with the keywords bound by `partial`.

    Re-entrant checkpointing computes no gradient for a layer whose inputs need none, as the first one over a frozen
    base: where it `learns`, it gets one that does; what lies before it keeps nothing for a backward pass and is simply
    run. Of inputs it knows those by position only: a keyword that carries a gradient (WavLM's position bias, which
    every layer hands to the next) would lead it back into itself without end.
    """
    keywords: dict[str, Any] = getattr(function, "keywords", {})
    carrying = [name for name, one in keywords.items() if _needs_gradient(one)]
    if not carrying and not any(_needs_gradient(one) for one in inputs):
        if not learns:
            return function(*inputs)
        first = next(index for index, one in enumerate(inputs) if torch.is_tensor(one) and one.is_floating_point())
        inputs = (*inputs[:first], inputs[first].detach().requires_grad_(), *inputs[first + 1 :])
    count = len(inputs)

    def forward(*given: Any) -> Any:
        return function(*given[:count], **dict(zip(carrying, given[count:], strict=True)))

    return checkpoint(forward, *inputs, *(keywords[name] for name in carrying), use_reentrant=use_reentrant)


def _needs_gradient(one: Any) -> bool:
    return torch.is_tensor(one) and one.requires_grad
