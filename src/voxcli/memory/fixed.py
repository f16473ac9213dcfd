"""What a run needs beside its tensors: a device and the peak of its tensors -> bytes by name.

Tensors are counted exactly elsewhere in this folder. What stands here is estimated: each constant says where it comes
from, and `Constants` of measured runs of the same device (`calibration.constants`) replace the published ones.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.memory.cards import Device
    from voxcli.memory.setup import Setup

MIB = 2**20

CONTEXT = 450 * MIB
"""The CUDA context: the driver's own and the kernels loaded so far. PyTorch's maintainers name 300 MB (pytorch issue
107667) and 400 MB (109888) with lazy loading, CUDA 11.7 and later; half a GB is seen on large cards, more than 1 GB
without lazy loading. Outside PyTorch's allocator."""

FRAGMENTATION = 0.08
"""What the caching allocator reserves beyond its tensors' peak, as a share of it, when it has to fit: blocks that no
tensor of the next batch fills. For batches of one length, as a Whisper's at 30 s. Simulated (`allocator`) over steps of
eight label lengths, bf16: Whisper small 3 %, with checkpointing 8 %."""

FRAGMENTATION_OF_LENGTHS = 0.20
"""The same for batches of different lengths. Simulated over steps of eight lengths from 2 to 15 s, bf16: wav2vec 2.0
base 23 %, with checkpointing 25 %, XLS-R 300M with checkpointing 12 %. The optimizer's states, which come into being at
the end of the first step, settle in the blocks of its activations and stay there."""

FRAGMENTATION_EXPANDABLE = 0.07
"""The same with PYTORCH_ALLOC_CONF=expandable_segments:True: 2, 7 and 6 % in the same simulations."""

PROCESS = 450 * MIB
"""Python with torch, transformers, peft and voxcli imported: 424 MiB resident on Linux x86-64, torch 2.13 without CUDA
(measured)."""

MALLOC = 0.10
"""What a processor's run takes beyond its tensors' peak, as a share: memory that malloc keeps, oneDNN's copies.
Measured as growth of resident memory on two cores; with 400 MiB it covers 20 of 21 steps without checkpointing."""

MALLOC_CHECKPOINTING = 0.30
"""The same with gradient checkpointing, which frees and takes large blocks all the time: 0.3 to 1.9 GiB more than
tensors; with 400 MiB it covers 5 of 7 steps."""

MALLOC_LEAST = 800 * MIB
"""What malloc keeps of the smallest steps (150 to 500 MiB measured), and of what a run does beside them: reading ahead,
evaluations, checkpoints. The quickstart, 750 steps with two threads, ends 0.8 GiB above its libraries and tensors."""


@dataclass(frozen=True)
class Constants:
    """The estimates that measured runs of a device correct."""

    context: int = CONTEXT
    """Bytes outside PyTorch's allocator."""
    missing: float = 0.0
    """What tensors needed beyond their prediction, as a share of it: workspace of libraries that is not traced."""
    beside: float = 1.0
    """Factor of what a processor's run takes beside its tensors."""
    runs: int = 0
    """Measured runs behind them; 0 means the published values."""

    @property
    def source(self) -> str:
        """Where the values come from, for a person."""
        if not self.runs:
            return "published values, not measured on this device"
        return f"measured in {self.runs} run{'s' if self.runs > 1 else ''} on this device"


def fixed(device: Device, setup: Setup, peak: int = 0, *, constants: Constants | None = None) -> dict[str, int]:
    """Bytes beside tensors, by name; `peak` is the most bytes of tensors at one time, of which a part is lost.

    CUDA: context, cuBLAS, fragmentation, and what runs have shown to be missing. CPU: process, malloc. The sum and
    `peak` have to fit `device.usable`.
    """
    known = constants or Constants()
    if device.kind == "cuda":
        cublas = cublas_workspaces(device.capability)
        lost = round((peak + cublas) * fragmentation(setup))
        parts = {"context": known.context, "cuBLAS": cublas, "fragmentation": lost}
        return parts | {"correction": round(peak * known.missing)} if known.missing else parts
    share = MALLOC_CHECKPOINTING if setup.train.gradient_checkpointing else MALLOC
    return {"process": round(PROCESS * known.beside), "malloc": round((MALLOC_LEAST + peak * share) * known.beside)}


def needed(device: Device, setup: Setup, peak: int, *, constants: Constants | None = None) -> int:
    """Bytes that a device must have for tensors of `peak` bytes: the peak and everything beside it."""
    return peak + sum(fixed(device, setup, peak, constants=constants).values())


def tensors_that_fit(device: Device, setup: Setup, *, constants: Constants | None = None) -> int:
    """The largest peak of tensors that fits the device, bytes; 0 where nothing does. The inverse of `needed`."""
    at_nothing = needed(device, setup, 0, constants=constants)
    slope = (needed(device, setup, 2**40, constants=constants) - at_nothing) / 2**40
    most = max(0, int((device.usable - at_nothing) / slope))
    while most and needed(device, setup, most, constants=constants) > device.usable:
        most -= 1
    return most


def fragmentation(setup: Setup) -> float:
    """The share of its tensors' peak that the allocator loses: by what the environment says and by the batches."""
    if expandable():
        return FRAGMENTATION_EXPANDABLE
    padded = getattr(setup.family, "padded_duration", None)
    one_length = callable(padded) and padded(1.0, window=30.0) == padded(20.0, window=30.0)
    return FRAGMENTATION if one_length else FRAGMENTATION_OF_LENGTHS


def expandable() -> bool:
    """Whether the environment asks PyTorch for segments that grow (its notes on CUDA, "Optimizing memory usage")."""
    asked = "".join(os.environ.get(name, "") for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"))
    return "expandable_segments:true" in asked.lower().replace(" ", "")


def cublas_workspaces(capability: tuple[int, int]) -> int:
    """cuBLAS's workspaces, taken through PyTorch's allocator at the first product and kept.

    One for each thread that multiplies, the forward pass's and autograd's: 8.125 MiB each, 32 MiB from Hopper on
    (ATen/cuda/CublasHandlePool.cpp, parseChosenWorkspaceSize; CUBLAS_WORKSPACE_CONFIG overrides it).
    """
    one = 32 * MIB if capability >= (9, 0) else 8 * MIB + 128 * 1024
    return 2 * one
