"""What an operation takes for itself while it runs, beside its arguments and its results, in bytes.

Copies of arguments that do not lie in one piece, and temporaries: read off torch's allocator operation by operation
(torch 2.13 on a CPU), and off the source where GPUs do the same. Only what grows with the batch is listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from voxcli.memory import cpu

aten = torch.ops.aten
Workspace = Callable[[tuple[Any, ...], Any], int]
"""Arguments and result of an operation -> bytes."""

_PAIRS = (aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.mul_.Tensor, aten.div.Tensor)
_HALF = (torch.float16, torch.bfloat16)


def workspaces(device: str) -> dict[Any, Workspace]:
    """For every operation that needs some."""
    return ON_A_CPU if device == "cpu" else {}


def _gelu_backward(args: tuple[Any, ...], out: Any) -> int:
    """oneDNN is asked where the input lies in one piece, and copies both where the gradient does not."""
    gradient, x = args[:2]
    return int(gradient.nbytes + x.nbytes) if x.is_contiguous() and not gradient.is_contiguous() else 0


def _mixed(args: tuple[Any, ...], out: Any) -> int:
    """Arguments of another type than the result's are cast first; a GPU casts as it reads."""
    one, other = args[:2]
    if not isinstance(other, torch.Tensor) or one.dtype == other.dtype or not (one.dim() and other.dim()):
        return 0
    common = torch.result_type(one, other)
    return sum(operand.numel() * common.itemsize for operand in (one, other) if operand.dtype != common)


def _mean(args: tuple[Any, ...], out: Any) -> int:
    """Half precision is added up in float32."""
    return 4 * args[0].numel() if args[0].dtype in _HALF else 0


def _convolution(args: tuple[Any, ...], out: Any) -> int:
    x, weight, _, stride, _, _, transposed, _, groups = args[:9]
    return 0 if transposed else cpu.forward(x, weight, out, stride, groups)


def _convolution_backward(args: tuple[Any, ...], out: Any) -> int:
    gradient, x, weight, _, stride, _, _, transposed, _, groups, wanted = args[:11]
    return 0 if transposed else cpu.backward(gradient, x, weight, stride, groups, wanted)


def _attention(args: tuple[Any, ...], out: Any) -> int:
    return cpu.attention(args[0], args[1], backward=False)


def _attention_backward(args: tuple[Any, ...], out: Any) -> int:
    return cpu.attention(args[1], args[2], backward=True)


def _product(args: tuple[Any, ...], out: Any) -> int:
    """The last argument is the second matrix."""
    matrix = args[-1]
    return cpu.half_product(matrix.shape[-2]) if matrix.dtype in _HALF else 0


IN_ONE_PIECE: dict[Any, tuple[int, ...]] = {
    aten.native_layer_norm.default: (0,),
    aten.native_layer_norm_backward.default: (0, 1),
    aten._log_softmax.default: (0,),
    aten._log_softmax_backward_data.default: (0, 1),
    aten._softmax.default: (0,),
    aten._softmax_backward_data.default: (0, 1),
    aten.embedding_dense_backward.default: (0,),
}
"""Arguments that a kernel copies where they do not lie in one piece, on every device; what comes out does."""
ON_A_CPU: dict[Any, Workspace] = {
    aten.convolution.default: _convolution,
    aten.convolution_backward.default: _convolution_backward,
    aten.gelu_backward.default: _gelu_backward,
    aten._safe_softmax.default: lambda args, out: int(args[0].numel()),
    aten.native_batch_norm_backward.default: lambda args, out: int(args[1].nbytes),
    aten.mean.dim: _mean,
    aten._scaled_dot_product_flash_attention_for_cpu.default: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default: _attention_backward,
    **dict.fromkeys((aten.mm.default, aten.addmm.default, aten.bmm.default), _product),
    **dict.fromkeys(_PAIRS, _mixed),
}
