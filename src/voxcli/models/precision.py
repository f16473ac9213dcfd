"""Features are float32 whatever precision the model computes in.

Evaluation computes them within the model's autocast. On a CPU that reaches the feature extractors that use torch, whose
bfloat16 is no type of numpy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_float32(compute: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate what computes features."""

    @functools.wraps(compute)
    def computed(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        import torch

        with torch.autocast("cpu", enabled=False):
            return compute(*arguments, **keywords)

    return computed
