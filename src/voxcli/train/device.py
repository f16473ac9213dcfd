"""Which device a run uses, how batches get there, and how much memory it took."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import torch

from voxcli.errors import RecipeError


def choose(*, use_cpu: bool = False) -> torch.device:
    """CUDA before Apple's MPS before the CPU; `use_cpu` skips the first two."""
    if not use_cpu and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if not use_cpu and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def check_precision(device: torch.device, mixed_precision: str) -> None:
    """Raise `RecipeError` where the device cannot compute in the precision that `[train]` asks for."""
    if mixed_precision == "fp16" and device.type == "cpu":
        raise RecipeError(
            'train.mixed_precision = "fp16" needs a GPU, and the run is on the CPU',
            help="add train.mixed_precision=no to the command, or bf16 where the processor has it",
        )
    if mixed_precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise RecipeError(f"{describe(device)} has no bf16", help='train.mixed_precision = "fp16", or "no"')


def describe(device: torch.device) -> str:
    """The device in words, for example "cuda:0 (NVIDIA L4, 22.0 GiB)"."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device} ({properties.name}, {properties.total_memory / 2**30:.1f} GiB)"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(device)


def move(tensors: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors of a batch on `device`; other values as they are. Copies to a GPU do not wait for it."""
    if device.type == "cpu":
        return tensors
    moved = {}
    for key, value in tensors.items():
        if isinstance(value, torch.Tensor):
            pinned = value.pin_memory() if device.type == "cuda" and value.device.type == "cpu" else value
            moved[key] = pinned.to(device, non_blocking=True)
        else:
            moved[key] = value
    return moved


def peak_bytes(device: torch.device) -> int:
    """The most memory in use so far: of tensors on a GPU, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak(device: torch.device) -> None:
    """Let `peak_bytes` begin anew, where the device can: a GPU's allocator, not a process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def autocast(device: torch.device, mixed_precision: str) -> contextlib.AbstractContextManager[None]:
    """The precision of forward passes: "no", "fp16" or "bf16" (https://docs.pytorch.org/docs/stable/amp.html)."""
    if mixed_precision == "no":
        return contextlib.nullcontext()
    dtype = torch.float16 if mixed_precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype)
