"""A model as training wraps it (DistributedDataParallel, torch.compile, PEFT) -> the transformers model inside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def unwrapped(model: Any) -> Any:
    """The transformers model; adapters that PEFT put into its layers stay active."""
    while True:
        if is_adapter(model):
            model = model.get_base_model()
        elif hasattr(model, "_orig_mod"):  # torch.compile
            model = model._orig_mod
        elif type(model).__name__ in ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel"):
            model = model.module
        else:
            return model


def is_adapter(model: Any) -> bool:
    """Whether a model is one of PEFT's, also where FSDP has put a class before it."""
    # by name: importing peft takes seconds
    return any(one.__module__.startswith("peft.") for one in type(model).__mro__)


def device_of(model: Any) -> torch.device:
    """Where the model's first parameter lies, which is where its inputs go."""
    device: torch.device = next(model.parameters()).device
    return device


@contextlib.contextmanager
def decoding_mode(model: Any) -> Iterator[None]:
    """No dropout, no masks, no graph within the block; every module trains as before afterwards."""
    import torch

    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        # no_grad, not inference_mode: what a module keeps from here (rotary tables) may be used in training again
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
