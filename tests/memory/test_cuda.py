"""What a GPU does otherwise, emulated on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from voxcli.memory.cuda import emulated
from voxcli.memory.tracker import Tracker


def kept(work: Callable[..., Any], *inputs: torch.Size | tuple[int, ...], dtype: Any = None, sm: Any = (8, 0)) -> int:
    """Bytes that a forward pass keeps for its backward pass, its result included."""
    with emulated(sm), FakeTensorMode(), Tracker() as tracker:
        made = [torch.empty(*shape, dtype=dtype, requires_grad=True) for shape in inputs]
        tracker.hold(made, "weights")
        before = tracker.bytes
        out = work(*made)
        after = tracker.bytes
        del out
    return after - before


QKV = ((2, 4, 96, 64),) * 3


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(query, key, value)


SCORES = 2 * 4 * 96 * 96
ONE = 2 * 4 * 96 * 64


def test_flash_attention_keeps_no_scores() -> None:
    n_bytes = kept(attention, *QKV, dtype=torch.bfloat16)
    assert n_bytes < ONE * 2 + 2 * 4 * 96 * 4 + 1024


def test_a_mask_needs_the_other_kernel_and_a_copy_of_it() -> None:
    def masked(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(2, 1, 96, 96, dtype=torch.bool)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    plain = kept(attention, *QKV, dtype=torch.float16)
    assert kept(masked, *QKV, dtype=torch.float16) >= plain + 2 * 96 * 96 * 2 - 64  # less a few scalars


def test_old_cards_have_no_flash_attention_and_no_bfloat16_in_the_other() -> None:
    new = kept(attention, *QKV, dtype=torch.bfloat16)
    old = kept(attention, *QKV, dtype=torch.bfloat16, sm=(7, 5))
    half = kept(attention, *QKV, dtype=torch.float16, sm=(7, 5))
    assert old > new + SCORES * 2
    assert half < new + SCORES * 2


def test_a_dropout_keeps_one_byte_an_element() -> None:
    n_bytes = kept(lambda x: functional.dropout(x, 0.1), (100, 100))
    assert n_bytes == 100 * 100 * (4 + 1)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda x: functional.layer_norm(x, (8,)), torch.float32),
        (lambda x: x.softmax(-1), torch.float32),
        (lambda x: functional.log_softmax(x, -1), torch.float32),
        (lambda x: x.softmax(-1, dtype=torch.float16), torch.float16),
        (lambda x: x.pow(2), torch.float32),
        (lambda x: x**2, torch.float32),
        (lambda x: x.sum(), torch.float32),
        (lambda x: x.exp(), torch.float32),
        (lambda x: functional.cross_entropy(x, torch.zeros(4, dtype=torch.int64)), torch.float32),
        (lambda x: functional.gelu(x), torch.bfloat16),
        (lambda x: x + x, torch.bfloat16),
        (lambda x: x @ x.T, torch.bfloat16),
    ],
)
def test_autocast_computes_in_what_cuda_does(work: Callable[[torch.Tensor], torch.Tensor], expected: Any) -> None:
    """https://docs.pytorch.org/docs/stable/amp.html, CUDA Ops that can autocast to float32."""
    with emulated((8, 0)), torch.autocast("cpu", dtype=torch.bfloat16):
        assert work(torch.zeros(4, 8, dtype=torch.bfloat16)).dtype == expected


def test_half_precision_softmax_writes_float32_without_a_copy() -> None:
    def soft(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.float16):
            return x.softmax(-1)

    assert kept(soft, (64, 64), dtype=torch.float16) == 64 * 64 * 4


def test_a_cpu_is_a_cpu_again_afterwards() -> None:
    originals = functional.scaled_dot_product_attention, functional.dropout
    x = torch.ones(4, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = functional.layer_norm(x, (8,)).dtype, x.softmax(-1).dtype, x.exp().dtype
        with emulated((8, 0)):
            assert x.exp().dtype == torch.float32
        assert (functional.layer_norm(x, (8,)).dtype, x.softmax(-1).dtype, x.exp().dtype) == before
    assert (functional.scaled_dot_product_attention, functional.dropout) == originals
