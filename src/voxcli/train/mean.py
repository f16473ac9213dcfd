"""The exact mean over everything a step saw: all micro-batches of all processes, however unequal.

A task's loss is a sum and a count. Gradients of sums add up; divided once by the count of the whole step they are the
gradient of its mean, whatever the split into micro-batches and processes was. Averaging the means of micro-batches,
which is what a Trainer does, weighs a short batch like a long one.

Sums of many tokens overflow in float16, so the loss is multiplied by a power of two near 1/count before the backward
pass. A power of two changes the exponent only and divides out without rounding.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

import torch

from voxcli.train import processes
from voxcli.train.sharding import local

_UNDER_WAY = 2
"""Buckets that are exchanged at a time: memory for as many of them."""


def power_of_two(count: float) -> float:
    """The scale 2^-k for a step of about `count` items: exact in floating point, near 1/count."""
    return 2.0 ** -round(math.log2(max(count, 1.0)))


def gradients(parameters: Iterable[torch.nn.Parameter]) -> list[torch.Tensor]:
    """The gradients that exist."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def sum_over_processes(parameters: list[torch.nn.Parameter], *, bucket_bytes: int = 8 * 2**20) -> None:
    """Replace every gradient by its sum over all processes.

    Once a step, after the last micro-batch, in buckets: while one is exchanged the next is filled and the one before is
    put back. A parameter without a gradient here (LayerDrop, an unused layer) counts as zero, so that processes never
    wait for each other's missing gradients.
    """
    under_way: deque[_Exchange] = deque()
    for bucket in _buckets(parameters, bucket_bytes):
        under_way.append(_Exchange(bucket))
        if len(under_way) > _UNDER_WAY:
            under_way.popleft().finish()
    for exchange in under_way:
        exchange.finish()


def _buckets(parameters: Iterable[torch.nn.Parameter], most: int) -> Iterator[list[torch.Tensor]]:
    """The gradients in their order, those of one type together as far as `most` bytes hold them."""
    bucket: list[torch.Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradient = parameter.grad
        if bucket and (size + gradient.nbytes > most or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket


class _Exchange:
    """One bucket on its way to the other processes and back."""

    def __init__(self, bucket: list[torch.Tensor]) -> None:
        import torch.distributed as dist

        self._bucket = bucket
        self._flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        self._work = dist.all_reduce(self._flat, async_op=True)

    def finish(self) -> None:
        """Wait for the sums and put them in the gradients' place."""
        self._work.wait()
        parts = self._flat.split([gradient.numel() for gradient in self._bucket])
        for gradient, part in zip(self._bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def finish(
    parameters: Iterable[torch.nn.Parameter], *, factor: torch.Tensor, max_norm: float, parted: bool = False
) -> torch.Tensor:
    """Multiply the gradients by `factor` (scalar) and clip them to `max_norm` (0 leaves them), in one pass.

    `parted`: every process has its part of them, and the norm is that of the whole. Returns the norm before clipping,
    scalar, on the gradients' device: nothing waits for the device here.
    """
    present = [local(gradient) for gradient in gradients(parameters)]
    if not present:
        return torch.zeros(())
    norm = torch.nn.utils.get_total_norm(present)
    if parted:
        norms = [torch.empty_like(norm) for _ in range(processes.world())]
        torch.distributed.all_gather(norms, norm)
        norm = torch.linalg.vector_norm(torch.stack(norms))
    norm = norm * factor
    multiplier = factor
    if max_norm > 0:
        multiplier = factor * (max_norm / (norm + 1e-6)).clamp(max=1.0)
    multiplier = multiplier.to(torch.float32)
    torch._foreach_mul_(present, multiplier)
    return norm
