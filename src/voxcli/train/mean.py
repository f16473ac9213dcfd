"""The exact mean over everything a step saw: all micro-batches of all processes, however unequal.

A task's loss is a sum and a count. Gradients of sums add up; divided once by the count of the whole step they are the
gradient of its mean, whatever the split into micro-batches and processes was. Averaging the means of micro-batches,
which is what a Trainer does, weighs a short batch like a long one.

Sums of many tokens overflow in float16, so the loss is multiplied by a power of two near 1/count before the backward
pass. A power of two changes the exponent only and divides out without rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


def power_of_two(count: float) -> float:
    """The scale 2^-k for a step of about `count` items: exact in floating point, near 1/count."""
    return 2.0 ** -round(math.log2(max(count, 1.0)))


def gradients(parameters: Iterable[torch.nn.Parameter]) -> list[torch.Tensor]:
    """The gradients that exist."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def sum_over_processes(parameters: list[torch.nn.Parameter], *, bucket_bytes: int = 32 * 2**20) -> None:
    """Replace every gradient by its sum over all processes.

    One exchange a step, after the last micro-batch. A parameter without a gradient here (LayerDrop, an unused layer)
    counts as zero, so that processes never wait for each other's missing gradients.
    """
    bucket: list[torch.Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradient = parameter.grad
        if bucket and (size + gradient.nbytes > bucket_bytes or gradient.dtype != bucket[0].dtype):
            _reduce(bucket)
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        _reduce(bucket)


def _reduce(bucket: list[torch.Tensor]) -> None:
    import torch.distributed as dist

    flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
    dist.all_reduce(flat)
    for gradient, part in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
        gradient.copy_(part.view_as(gradient))


def finish(parameters: Iterable[torch.nn.Parameter], *, factor: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Multiply the gradients by `factor` (scalar) and clip them to `max_norm` (0 leaves them), in one pass.

    Returns the norm before clipping, scalar, on the gradients' device: nothing waits for the device here.
    """
    present = gradients(parameters)
    if not present:
        return torch.zeros(())
    norm = torch.nn.utils.get_total_norm(present) * factor
    multiplier = factor
    if max_norm > 0:
        multiplier = factor * (max_norm / (norm + 1e-6)).clamp(max=1.0)
    multiplier = multiplier.to(torch.float32)
    torch._foreach_mul_(present, multiplier)
    return norm
