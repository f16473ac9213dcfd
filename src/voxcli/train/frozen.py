"""What is not trained stays as it is, and may be kept in half precision: half the bytes, the same products.

Under autocast a linear layer or a convolution computes with a half-precision copy of its weight, made for each batch.
A weight that is never updated may as well be stored so: nothing is rounded that would not be rounded anyway, but for
a table of tokens that is an output layer too. All other frozen weights (norms, positions, tables that are only looked
up) stay float32, because autocast leaves them so.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

_CAST_BY_AUTOCAST = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
)


def keep_statistics(model: nn.Module) -> None:
    """Let batch normalisation whose gain is not trained go on with the means and variances it has, in place.

    In training mode it would drift with every batch, and no adapter is saved with what it drifted to.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not getattr(module.weight, "requires_grad", True):
            module.__dict__["train"] = functools.partial(_stay, module)


def cast(model: nn.Module, dtype: torch.dtype) -> int:
    """Cast the frozen float32 matrices and kernels of a model to `dtype`, in place; ties and names stay.

    Returns the number of parameters that were cast. A lookup table that is tied to an output layer is cast with it;
    what is looked up in it is float32 as before.
    """
    done: set[int] = set()
    for module in model.modules():
        if not isinstance(module, _CAST_BY_AUTOCAST) or parametrize.is_parametrized(module):
            continue
        for parameter in module.parameters(recurse=False):
            if _castable(parameter) and id(parameter) not in done:
                parameter.data = parameter.data.to(dtype)
                done.add(id(parameter))
    for module in model.modules():
        if isinstance(module, nn.Embedding) and id(module.weight) in done:
            module.register_forward_hook(_as_float32)
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) in done)


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    """`train` and `eval` of a module that is always in evaluation mode."""
    module.training = False
    return module


def _castable(parameter: nn.Parameter) -> bool:
    return parameter.dtype == torch.float32 and not parameter.requires_grad and type(parameter) is nn.Parameter


def _as_float32(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output.float()
