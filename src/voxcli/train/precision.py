"""float32 for one forward pass of a model that trains in float16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from voxcli.recipe.schema import Train


@contextlib.contextmanager
def full(model: torch.nn.Module, train: Train) -> Iterator[None]:
    """The range of float32 within the block, where the model computes in less otherwise.

    accelerate puts autocast into the model's own forward and keeps the one before as `_original_forward`. Frozen
    weights of 16 bits cannot meet float32 inputs: bfloat16 has the same range.
    """
    wrapped = model.forward
    original = getattr(model, "_original_forward", None)
    half = train.frozen_dtype != "float32"
    kind = next(model.parameters()).device.type
    try:
        if original is not None:
            model.forward = original
        with torch.autocast(kind, dtype=torch.bfloat16) if half else contextlib.nullcontext():
            yield
    finally:
        if original is not None:
            model.forward = wrapped
