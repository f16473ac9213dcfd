"""The processes of a run, as torchrun or accelerate launched them: who am I, how many are we, and wait for the others.

One process needs nothing of this: no process group is made, and every function returns at once.
"""

from __future__ import annotations

import os
from typing import Any

import torch


def rank() -> int:
    """This process among all, 0 for the one that writes."""
    return int(os.environ.get("RANK", "0")) if world() > 1 else 0


def world() -> int:
    """Number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(device: torch.device) -> None:
    """Make the process group where several processes were launched: NCCL between GPUs, Gloo between CPUs."""
    import torch.distributed as dist

    if world() > 1 and not dist.is_initialized():
        from accelerate import PartialState

        PartialState(cpu=device.type == "cpu")  # the Accelerator made later shares it


def wait() -> None:
    """Return when every process has come here."""
    import torch.distributed as dist

    if world() > 1 and dist.is_initialized():
        dist.barrier()


def gather(value: Any) -> list[Any]:
    """The value of every process, in the order of ranks, in every process."""
    import torch.distributed as dist

    if world() == 1 or not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * world()
    dist.all_gather_object(values, value)
    return values


def same_weights(model: torch.nn.Module) -> None:
    """Give every process the weights and buffers of the first one."""
    import torch.distributed as dist

    if world() > 1 and dist.is_initialized():
        for tensor in [*model.parameters(), *model.buffers()]:
            dist.broadcast(tensor.detach(), src=0)
