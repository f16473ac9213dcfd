"""The output layer of a CTC model for another vocabulary: rows of characters that the old one knew are kept.

A head's row is what the model has learned of a character, so a checkpoint for English keeps its letters when it learns
a language that shares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPACES = ("|", " ", "▁", "Ġ")  # what tokenizers write for the space


def head_name(model: Any) -> str:
    """Name of the output layer among the model's children: lm_head, ctc_head."""
    for name, child in model.named_children():
        if name in ("lm_head", "ctc_head"):
            return name
        weight = getattr(child, "weight", None)
        if weight is not None and weight.shape[0] == model.config.vocab_size:
            return str(name)
    raise LookupError(f"{type(model).__name__} has no output layer of {model.config.vocab_size} classes")


def replace_head(
    model: Any, classes: Mapping[str, int], *, blank: str, space: str, old: Mapping[str, int] | None
) -> int:
    """Give the model an output layer for `classes` (token -> row), in place; return how many rows were kept.

    `old` is the vocabulary of the present head, None where that head is untrained. A character that the old head knows
    only in the other case takes that row.
    """
    import torch
    from torch import nn

    name = head_name(model)
    before = getattr(model, name)
    if isinstance(before, nn.Conv1d):
        after: Any = type(before)(before.in_channels, len(classes), kernel_size=1)
    else:
        after = nn.Linear(before.in_features, len(classes), bias=before.bias is not None)
    after = after.to(before.weight.device, before.weight.dtype)
    model._init_weights(after)
    kept = 0
    with torch.no_grad():
        for token, row in classes.items():
            source = model.config.pad_token_id if token == blank else _row(token, token == space, old or {})
            if old is None or source is None or source >= before.weight.shape[0]:
                continue
            after.weight[row] = before.weight[source]
            if after.bias is not None:
                after.bias[row] = before.bias[source]
            kept += 1
    setattr(model, name, after)
    model.config.vocab_size = len(classes)
    model.config.pad_token_id = classes[blank]
    return kept


def _row(token: str, is_space: bool, old: Mapping[str, int]) -> int | None:
    if is_space:
        return next((old[space] for space in _SPACES if space in old), None)
    for candidate in (token, token.upper(), token.lower()):
        if candidate in old:
            return old[candidate]
    return None
