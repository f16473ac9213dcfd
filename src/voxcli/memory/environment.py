"""The surroundings of a trace: fake tensors, counted, computed by stand-ins for the kernels of the device."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import torch

from voxcli.memory import cuda, fake
from voxcli.memory.bundles import Built, no_gradients_left
from voxcli.memory.setup import Setup
from voxcli.memory.tracker import Tracker
from voxcli.models.checkpoint import quietly
from voxcli.train import device


def autocast(setup: Setup) -> Any:
    """The precision of the forward pass. Fake tensors are on the CPU, whatever the device."""
    return device.autocast(torch.device("cpu"), setup.train.mixed_precision)


@contextlib.contextmanager
def environment(
    setup: Setup, made: Built, tracker: Tracker, chosen: dict[tuple[int, ...], int] | None = None
) -> Iterator[None]:
    """Fake tensors, counted, with the kernels of the device. `chosen`: how many elements of masks are set, by shape."""
    collected = gc.isenabled()
    gc.collect(1)
    gc.disable()  # what a cycle holds is freed at the same place in every trace
    stand_ins = fake.StandIns(tracker, device=setup.device)
    stand_ins.chosen.update(chosen or {})
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(quietly())
            stack.enter_context(no_gradients_left(made.bundle.model))
            stack.enter_context(fake.explained(made.bundle.model))
            stack.enter_context(fake.masks_of_models(stand_ins))
            if setup.device == "cuda":
                stack.enter_context(cuda.emulated(setup.capability))
            if setup.backend == "transformers" and setup.train.mixed_precision != "no":
                stack.enter_context(wrapped_by_accelerate(made.bundle.model, lambda: autocast(setup)))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(made.mode)
            stack.enter_context(tracker)
            stack.enter_context(stand_ins)
            yield
    finally:
        if collected:
            gc.enable()


@contextlib.contextmanager
def wrapped_by_accelerate(model: Any, precision: Callable[[], Any]) -> Iterator[None]:
    """The Trainer's accelerate computes the forward pass under autocast, which `precision` enters, and gives out
    float32.
    """
    from accelerate.utils import convert_outputs_to_fp32

    def forward(*args: Any, **keys: Any) -> Any:
        with precision():
            return inner(*args, **keys)

    inner = model.forward
    model.forward = convert_outputs_to_fp32(forward)
    try:
        yield
    finally:
        del model.forward
