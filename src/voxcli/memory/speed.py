"""What a traced step computes, writes and launches -> an estimate of how long it takes, to compare recipes by.

A roofline (Williams et al. 2009) with round figures of one middling card or processor: no device is asked, and only
ratios are shown. Operations, bytes and products are counted in the trace, so what checkpointing computes again, what
dequantising a 4-bit weight writes and what a frozen part saves are in it. The rates below are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.memory.frontier import Frontier
    from voxcli.memory.setup import Setup, Shape

TENSOR_CORES = (7, 0)
"""CUDA compute capability from which half precision has units of its own."""


@dataclass(frozen=True)
class Rates:
    """What a device does in a second."""

    products: float
    """Floating point operations of matrix products in float32."""
    half: float
    """How many times as many in half precision."""
    memory: float
    """Bytes read or written."""
    launch: float
    """s that the processor needs to start an operation; the device computes meanwhile."""
    bus: float
    """Bytes between a GPU and main memory."""


CARD = Rates(products=5e12, half=4.0, memory=2.5e11, launch=8e-6, bus=1e10)
"""About half of what an RTX 3060 is sold with (12.7 TFLOP/s, 360 GB/s), which is what training reaches. Half precision
is 2 to 16 times as quick on tensor cores, from GeForce to A100."""
OLD_CARD = Rates(products=4e12, half=1.0, memory=2e11, launch=8e-6, bus=1e10)
"""Before tensor cores half precision saves memory, not time."""
PROCESSOR = Rates(products=1e11, half=0.7, memory=1e10, launch=1e-5, bus=1e10)
"""bf16 is imitated on most processors."""

READS = 2.0  # bytes that an operation reads for each byte that it writes: most have two inputs
_UPDATE = 28  # bytes a trained parameter that an update reads and writes: weight, gradient, two states
_UPDATE_8BIT = 16


def rates(setup: Setup) -> Rates:
    """The round figures for the kind of device of a setup."""
    if setup.device == "cpu":
        return PROCESSOR
    return CARD if setup.capability >= TENSOR_CORES else OLD_CARD


def seconds(frontier: Frontier, shape: Shape, *, products: float | None = None) -> float:
    """s of forward and backward pass of a batch of that shape, and its part of the update.

    `products`: floating point operations, where the trace has not counted them all (bitsandbytes' own kernels).
    """
    setup = frontier.setup
    device, train = rates(setup), setup.train
    flops = max(frontier.flops(shape), products or 0.0)
    rate = device.products * (device.half if train.mixed_precision != "no" else 1.0)
    working = flops / rate + frontier.moved(shape) * (1.0 + READS) / device.memory
    update = frontier.n_trained * (_UPDATE_8BIT if "8bit" in train.optim else _UPDATE) / device.memory
    if train.optim.startswith("paged_") and setup.device == "cuda":
        update += 2 * frontier.paged / device.bus
    return max(working, frontier.rows.n_kernels * device.launch) + update / train.gradient_accumulation_steps
