"""Whether two batches are one to the last bit, and what predictions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def sayings(found: Sequence[Any]) -> list[Any]:
    """What predictions say, without their times."""
    return [getattr(one, "text", None) or getattr(one, "scores", None) or repr(one) for one in found]


def same(one: Any, other: Any) -> bool:
    """Tensors, arrays and plain values in dicts and lists, to the last bit."""
    import numpy as np
    import torch

    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and bool(np.array_equal(one, other))
    return bool(one == other)
