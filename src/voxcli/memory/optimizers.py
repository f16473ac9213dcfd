"""Optimizers on tensors without storage, and what their states and their steps take, in bytes.

torch's own optimizers and transformers' Adafactor run as they are. bitsandbytes' kernels do not; its stand-in makes the
states and the temporaries of bitsandbytes 0.50 (optim/optimizer.py and backends/cpu/ops.py of its wheel). `state_bytes`
and `step_bytes` say the same in closed form, for a search that compares optimizers without running them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from voxcli.recipe.schema import Train
from voxcli.train.optimizer import BITSANDBYTES, check, groups
from voxcli.train.optimizer import build as _real

BLOCK = 256
"""Values of an 8-bit state that share one scale."""
SMALLEST_8BIT = 4096
"""A parameter with fewer elements has 32-bit states."""
SMALLEST_PAGED = 100_000
"""A parameter with fewer elements has its states in the GPU's memory also with a paged optimizer."""
MAP_BYTES = 256 * 4
"""The table of values of an 8-bit state; one signed, one unsigned, shared by all parameters."""
ROUNDING = 512
"""The CUDA allocator's block, bytes (c10/core/AllocatorConfig.h)."""

Size = int | Sequence[int]
"""A parameter's number of elements, or its shape, which Adafactor's states depend on."""


def build(model: torch.nn.Module, train: Train, device: str) -> Any:
    """The optimizer of a run with `step()` and `zero_grad()`, as it behaves on `device` ("cuda" or "cpu").

    The model's tensors may be fake ones on the CPU. Raises as `voxcli.train.optimizer.build` does.
    """
    check(train)
    if train.optim in BITSANDBYTES:
        return Bitsandbytes(groups(model.named_parameters(), weight_decay=train.weight_decay), train.optim, device)
    made = _real(model, replace(train, layer_decay=None, learning_rates={}), torch.device(device))
    if device == "cuda":
        for group in made.param_groups:
            if "foreach" in group and not group.get("fused"):
                group["foreach"] = True  # what torch chooses for parameters on a GPU; it does not see one here
    return made


class Bitsandbytes:
    """AdamW or Lion of bitsandbytes: 32- or 8-bit states, paged or not."""

    def __init__(self, parameter_groups: list[dict[str, Any]], name: str, device: str) -> None:
        kind, extra = BITSANDBYTES[name]
        self.param_groups = parameter_groups
        self.state: dict[torch.nn.Parameter, dict[str, Tensor]] = {}
        self.paged_bytes = 0
        """Of states in unified memory, which the CUDA allocator knows nothing of."""
        self._n_states = 2 if kind == "AdamW" else 1
        self._bits = extra.get("optim_bits", 32)
        self._on_cuda = device == "cuda"
        self._paged = extra.get("is_paged", False) and self._on_cuda
        self._maps: list[Tensor] = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Make the states that are missing and update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter not in self.state:
                    self.state[parameter] = self._states(parameter)
                if self._on_cuda:
                    continue  # one kernel, no temporaries
                update = _update_8bit if "absmax1" in self.state[parameter] else _update_32bit
                update(parameter, self.state[parameter])

    def _states(self, parameter: torch.nn.Parameter) -> dict[str, Tensor]:
        made: dict[str, Tensor] = {}
        small = self._bits == 8 and parameter.numel() >= SMALLEST_8BIT
        if small and not self._maps:
            self._maps = [
                torch.empty(256, device=parameter.device) for _ in range(self._n_states if self._on_cuda else 2)
            ]
        for index in range(1, self._n_states + 1):
            dtype = torch.uint8 if small else torch.float32
            if self._paged and parameter.numel() >= SMALLEST_PAGED:
                self.paged_bytes += parameter.numel() * dtype.itemsize
            else:
                made[f"state{index}"] = torch.zeros_like(parameter, dtype=dtype)
        for index in range(1, self._n_states + 1 if small else 1):
            made[f"absmax{index}"] = torch.zeros(-(-parameter.numel() // BLOCK), device=parameter.device)
        return made


def state_bytes(sizes: Sequence[Size], optim: str, device: str = "cuda") -> int:
    """Bytes of an optimizer's states in the memory of `device`, for trained float32 parameters of these sizes.

    On CUDA each tensor is rounded up as the allocator does. A number of elements counts as a vector.
    """
    if optim not in BITSANDBYTES:
        return sum(_rounded(values * 4, device) for size in sizes for values in _torch_states(size, optim, device))
    kind, extra = BITSANDBYTES[optim]
    n_states, bits = (2 if kind == "AdamW" else 1), extra.get("optim_bits", 32)
    paged = extra.get("is_paged", False) and device == "cuda"
    total = 0
    for numel in map(_numel, sizes):
        small = bits == 8 and numel >= SMALLEST_8BIT
        if not (paged and numel >= SMALLEST_PAGED):
            total += n_states * _rounded(numel * (1 if small else 4), device)
        if small:
            total += n_states * _rounded(-(-numel // BLOCK) * 4, device)
    if bits == 8 and any(_numel(size) >= SMALLEST_8BIT for size in sizes):
        total += (n_states if device == "cuda" else 2) * MAP_BYTES
    return total


def paged_bytes(sizes: Sequence[Size], optim: str) -> int:
    """Bytes of states that a paged optimizer keeps in unified memory: they move out when the GPU is full."""
    kind, extra = BITSANDBYTES.get(optim, ("", {}))
    if not extra.get("is_paged", False):
        return 0
    each = (2 if kind == "AdamW" else 1) * (1 if extra.get("optim_bits") == 8 else 4)
    return sum(each * numel for numel in map(_numel, sizes) if numel >= SMALLEST_PAGED)


def step_bytes(sizes: Sequence[Size], optim: str, device: str = "cuda", *, weight_decay: float = 0.0) -> int:
    """The most bytes that an optimizer's step needs besides parameters, gradients and states.

    `sizes` are those of one parameter group, in its order: groups are updated one after the other.
    """
    numels = [_numel(size) for size in sizes]
    if not numels or optim in ("adamw_torch", "adamw_torch_fused") or (optim in BITSANDBYTES and device == "cuda"):
        return 0
    copies = 1 if weight_decay else 0  # of the gradients, with the decay added
    if optim in BITSANDBYTES:  # CPU; the 8-bit states as float32, and three or four more
        small = BITSANDBYTES[optim][1].get("optim_bits") == 8
        return max((5 if small and numel >= SMALLEST_8BIT else 3) * 4 * numel for numel in numels)
    if optim == "adafactor":  # the update of the parameter before lives until this one has its own
        return max(_rounded(4 * before, device) + 2 * _rounded(4 * numel, device) for before, numel in _pairs(numels))
    if device == "cuda":  # all parameters of a group at once
        copies += {"sgd": 0, "rmsprop": 1, "adagrad": 1 if weight_decay else 2}[optim]
        return copies * sum(_rounded(4 * numel, device) for numel in numels)
    return max(4 * (numel * copies + (numel + before if optim != "sgd" else 0)) for before, numel in _pairs(numels))


def _torch_states(size: Size, optim: str, device: str) -> list[int]:
    """Numbers of float32 values in the states of one parameter; steps that live on the CPU are left out on CUDA."""
    numel = _numel(size)
    if optim == "sgd":
        return []
    if optim == "adafactor":  # rows and columns (arXiv 1804.04235), and the parameter's root mean square
        shape = (size,) if isinstance(size, int) else tuple(size)
        if len(shape) < 2:
            return [numel, 1]
        return [math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1], 1]
    if optim in ("adagrad", "rmsprop"):
        return [numel] if device == "cuda" else [numel, 1]
    return [numel, numel, 1]


def _numel(size: Size) -> int:
    return size if isinstance(size, int) else math.prod(size)


def _pairs(numels: list[int]) -> zip[tuple[int, int]]:
    return zip([0, *numels], numels, strict=False)


def _rounded(n_bytes: int, device: str) -> int:
    return -(-n_bytes // ROUNDING) * ROUNDING if device == "cuda" else n_bytes


def _update_32bit(parameter: torch.nn.Parameter, state: dict[str, Tensor]) -> None:
    """The CPU's update with 32-bit states, operation by operation for the sake of its temporaries."""
    assert parameter.grad is not None
    gradient = parameter.grad.float() * 1.0
    weights = parameter.data.float()
    first = state["state1"]
    if "state2" in state:
        first.mul_(0.9).add_(gradient, alpha=0.1)
        state["state2"].mul_(0.9).addcmul_(gradient, gradient, value=0.1)
        update = first / (state["state2"].sqrt() + 1e-8)
        weights.add_(update, alpha=-0.1)
    else:
        update = first.mul(0.9).add(gradient, alpha=0.1)
        weights.add_(update.sign(), alpha=-0.1)
    parameter.data.copy_(weights)


def _update_8bit(parameter: torch.nn.Parameter, state: dict[str, Tensor]) -> None:
    """The CPU's update with 8-bit states: they are float32 while it lasts."""
    assert parameter.grad is not None
    first = torch.empty_like(state["state1"], dtype=torch.float32)
    second = torch.empty_like(state["state2"], dtype=torch.float32) if "state2" in state else None
    gradient = parameter.grad.float() * 1.0
    weights = parameter.data.float()
    if second is not None:
        denominator = (second.sqrt() / 0.5).add_(1e-8)
        weights.addcdiv_(first, denominator, value=-0.1)
    else:
        update = torch.sign(first.mul(0.9) + gradient.mul(0.1))
        weights.add_(update, alpha=-0.1)
    parameter.data.copy_(weights)
    for index, floats in ((1, first), (2, second)):
        if floats is not None:
            scales = torch.empty_like(state[f"absmax{index}"])
            state[f"state{index}"].copy_(torch.empty_like(floats, dtype=torch.uint8))
            state[f"absmax{index}"].copy_(scales)
