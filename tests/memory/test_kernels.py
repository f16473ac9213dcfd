"""What an operation takes for itself, against torch's own allocator."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from voxcli.memory import cpu, kernels
from voxcli.memory.counted import Allocations

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]] = {
    "first of wav2vec 2.0": ((3, 1, 8000), (128, 1, 10), {"stride": 5}),
    "others of wav2vec 2.0": ((3, 128, 1599), (128, 128, 3), {"stride": 2}),
    "positions": ((3, 128, 199), (128, 8, 128), {"padding": 64, "groups": 16}),
    "Whisper": ((2, 80, 600), (96, 80, 3), {"padding": 1}),
    "Conformer": ((2, 64, 400), (64, 1, 31), {"padding": 15, "groups": 64}),
    "subsampling": ((3, 64, 100, 40), (64, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 64}),
    "patches": ((3, 1, 64, 512), (96, 1, 16, 16), {"stride": 10}),
}


def taken(work: Callable[[], Any]) -> int:
    """Bytes beside what `work` returns."""
    work()  # what is made once is made now
    with Allocations() as seen:
        seen.mark()
        out = work()
        seen.mark()
        kept = sum(one.untyped_storage().nbytes() for one in (out if isinstance(out, tuple) else (out,)))
    return int(seen.between_marks()[0]) - kept


@pytest.mark.parametrize(("name", "dtype"), itertools.product(CONVOLUTIONS, [torch.float32, torch.bfloat16]))
def test_convolutions(name: str, dtype: torch.dtype) -> None:
    sizes, kernel, keys = CONVOLUTIONS[name]
    x, weight = torch.randn(*sizes, dtype=dtype, requires_grad=True), torch.randn(*kernel, dtype=dtype)
    weight.requires_grad_()
    function = functional.conv1d if len(sizes) == 3 else functional.conv2d
    out = function(x, weight, None, **keys)
    stride, groups = [keys.get("stride", 1)] * (len(sizes) - 2), keys.get("groups", 1)
    forward = taken(lambda: function(x, weight, None, **keys))
    near = 0.1 * max(x.nbytes, out.nbytes, weight.nbytes)
    assert cpu.forward(x, weight, out, stride, groups) == pytest.approx(forward, abs=near)
    if dtype == torch.bfloat16:  # in the backward pass only roughly known
        near *= 6
    gradient = torch.randn_like(out)
    backward = taken(lambda: torch.autograd.grad(out, (weight,), gradient, retain_graph=True))
    rule = cpu.backward(gradient, x, weight, stride, groups, (False, True, False))
    if name == "patches" and dtype == torch.bfloat16:
        return
    assert rule == pytest.approx(backward, abs=near)
    if sizes[1] > 1:  # the gradient of the audio itself is not asked for
        backward = taken(lambda: torch.autograd.grad(out, (x, weight), gradient, retain_graph=True))
        rule = cpu.backward(gradient, x, weight, stride, groups, (True, True, False))
        assert rule == pytest.approx(backward, abs=near)


def test_attention() -> None:
    query = torch.randn(2, 4, 300, 32)
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    forward = taken(lambda: flash(query, query, query, 0.0, False))
    assert cpu.attention(query, query, backward=False) == pytest.approx(forward, rel=0.05)


OPERATIONS: dict[str, tuple[Any, Callable[[], tuple[Any, ...]]]] = {
    "add": (torch.ops.aten.add.Tensor, lambda: (torch.randn(64, 512), torch.randn(64, 512).bfloat16())),
    "safe softmax": (torch.ops.aten._safe_softmax.default, lambda: (torch.randn(8, 64, 64), -1)),
    "gelu": (
        torch.ops.aten.gelu_backward.default,
        lambda: (torch.randn(8, 64, 128).transpose(1, 2), torch.randn(8, 128, 64)),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_temporaries(name: str) -> None:
    operation, make = OPERATIONS[name]
    args = make()
    rule = kernels.workspaces("cpu")[operation](args, operation(*args))
    assert rule == pytest.approx(taken(lambda: operation(*args)), rel=0.05)
    assert operation not in kernels.workspaces("cuda")


@pytest.mark.parametrize("operation", kernels.IN_ONE_PIECE, ids=str)
def test_arguments_of_which_a_kernel_makes_copies_exist(operation: Any) -> None:
    arguments = operation._schema.arguments
    assert all(str(arguments[at].type) == "Tensor" for at in kernels.IN_ONE_PIECE[operation])
