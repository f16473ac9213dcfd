"""What a convolution or an attention on a CPU takes for itself while it runs: copies in another layout, and scratch.

Rules that reproduce what torch's allocator counts (torch 2.13, oneDNN 3, float32 and bfloat16, one and two threads) to
a few per cent of the scratch; benchmarks/memory_cpu.py compares whole steps. A GPU's convolutions are another matter,
see `voxcli.memory.fixed`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

_LONGEST = 14
_MOST_COLUMNS = 819_200  # bytes at a time in a forward pass
_SMALL = 20_480
"""A single clip with fewer input elements is left to torch's own kernel (ATen/native/Convolution.cpp, use_mkldnn)."""


def forward(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor, stride: Sequence[int], groups: int) -> int:
    """The most bytes beside input, weight and output."""
    if not _by_onednn(x, weight, stride, groups):
        return 0
    straight = 0 if x.is_contiguous() else x.nbytes
    if _by_columns(x, weight, groups):
        columns = math.prod(out.shape[2:]) * math.prod(weight.shape[1:]) * x.element_size()
        return straight + max(out.nbytes, torch.get_num_threads() * min(columns, _MOST_COLUMNS))
    copies = _copy(x) + weight.nbytes + out.nbytes
    return straight + max(copies - out.nbytes, out.nbytes)


def backward(
    gradient: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: Sequence[int],
    groups: int,
    wanted: Sequence[bool],
) -> int:
    """The most bytes beside its arguments and the gradients of input and weight that it returns."""
    if not _by_onednn(x, weight, stride, groups):
        return 0
    threads = torch.get_num_threads()
    of_input = x.nbytes if wanted[0] else 0
    of_weight = weight.nbytes if wanted[1] else 0
    strided, half, depthwise = max(stride) > 1, x.dtype != torch.float32, 1 < groups == x.shape[1]
    by_columns = _by_columns(x, weight, groups)
    columns = math.prod(gradient.shape[2:]) * math.prod(weight.shape[1:]) * x.element_size()
    per_clip = gradient.nbytes // gradient.shape[0]
    in_float32 = weight.numel() * 4
    phases = [0]
    if wanted[0]:
        lanes = max(gradient.shape[1], 128) + 32
        scratch = threads * math.prod(gradient.shape[2:]) * lanes * x.element_size() if strided else 0
        copies = x.nbytes + threads * columns if by_columns else gradient.nbytes + weight.nbytes + x.nbytes + scratch
        twice = strided and (groups == 1 or half)
        phases += [copies, (3 if twice and not by_columns else 2) * x.nbytes]
    if wanted[1] and (by_columns or (depthwise and not strided)):
        workers = threads if groups > 1 else 1
        sums = 2 + 2 * workers if half else 4 * workers
        phases.append(of_input + weight.nbytes + sums * in_float32 + workers * columns)
    elif wanted[1]:
        scratch = threads * (in_float32 + per_clip + x.nbytes // x.shape[0]) if half else 0
        phases.append(of_input + gradient.nbytes + _copy(x) + weight.nbytes + scratch)
    if wanted[1]:
        phases.append(of_input + 2 * weight.nbytes)
    straight = sum(one.nbytes for one in (gradient, x) if not one.is_contiguous())
    return straight + max(max(phases) - of_input - of_weight, 0)


def _by_onednn(x: torch.Tensor, weight: torch.Tensor, stride: Sequence[int], groups: int) -> bool:
    pointwise = math.prod(weight.shape[2:]) == 1 and max(stride) == 1
    if x.dtype != torch.float32:
        return True
    if pointwise and torch.get_num_threads() == 1 and x.shape[0] < 16:
        return False
    return groups > 1 or x.shape[0] > 1 or x.numel() > _SMALL


def _by_columns(x: torch.Tensor, weight: torch.Tensor, groups: int) -> bool:
    """By matrix products: several channels a group, or a kernel too long for those that are generated."""
    return 1 < groups < x.shape[1] or max(weight.shape[2:]) > _LONGEST


def _copy(x: torch.Tensor) -> int:
    """One channel lies in memory as it is wanted."""
    return x.nbytes if x.shape[1] > 1 else 0


def attention(query: torch.Tensor, key: torch.Tensor, *, backward: bool) -> int:
    """Each thread's blocks of scores (ATen/native/cpu/FlashAttentionKernel.cpp)."""
    n_queries, size = query.shape[2], query.shape[3]
    rows = min(256 if n_queries >= 768 else 64 if n_queries >= 192 else 32, n_queries)
    scores = 4 * rows * min(512, key.shape[2])
    packed = scores // 2 if query.dtype != torch.float32 else 0
    threads = torch.get_num_threads()
    return threads * (packed + (2 * scores if backward else scores + 8 * rows + 4 * rows * size))


def half_product(inner: int) -> int:
    """A matrix product in half precision over `inner` elements: each thread's packed columns and sums in float32."""
    return torch.get_num_threads() * (128 * inner + 65_024)
