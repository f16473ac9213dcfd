"""Optimizers without storage take what real ones take, and the closed forms say so."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from voxcli.memory import optimizers
from voxcli.memory.counted import Allocations
from voxcli.recipe.schema import Train
from voxcli.train import optimizer as real
from voxcli.train.optimizer import NAMES

CPU = torch.device("cpu")


class _Model(torch.nn.Module):
    """Matrices above and below the smallest 8-bit and the smallest paged size, a kernel, vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.large = torch.nn.Linear(512, 300)
        self.small = torch.nn.Linear(60, 60)
        self.kernel = torch.nn.Conv1d(64, 100, 3)
        self.norm = torch.nn.LayerNorm(300)


def _with_gradients(model: torch.nn.Module) -> torch.nn.Module:
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return model


def _two_steps(make: Callable[[torch.nn.Module], Any]) -> tuple[list[int], int, Any]:
    """Peaks of making the optimizer and of its first and second step; bytes of its states at the end; the optimizer."""
    model = _with_gradients(_Model())
    gc.collect()
    peaks, alive = [], 0
    with Allocations() as made:
        optimizer = make(model)
    for _ in range(2):
        with Allocations() as step:
            optimizer.step()
        peaks.append(step.peak)
        alive += int(step.curve[-1]) if len(step.curve) else 0
    return peaks, alive + (int(made.curve[-1]) if len(made.curve) else 0), optimizer


@pytest.mark.parametrize(
    ("name", "weight_decay"), [*((name, 0.1) for name in NAMES), ("adamw_torch", 0.0), ("sgd", 0.0)]
)
@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
def test_as_much_as_the_real_one_on_the_cpu(name: str, weight_decay: float) -> None:
    train = Train(optim=name, weight_decay=weight_decay)
    truth, states, kept = _two_steps(lambda model: real.build(model, train, CPU))
    ours, our_states, also_kept = _two_steps(lambda model: optimizers.build(model, train, "cpu"))
    assert ours == pytest.approx(truth, rel=0.002, abs=3000)  # the tables of 8-bit states are made a little later
    assert our_states == pytest.approx(states, rel=0.002, abs=200)

    groups = real.groups(_Model().named_parameters(), weight_decay=weight_decay)
    shapes = [[tuple(parameter.shape) for parameter in group["params"]] for group in groups]
    assert optimizers.state_bytes([*shapes[0], *shapes[1]], name, "cpu") == pytest.approx(states, rel=0.002, abs=200)
    temporary = max(
        optimizers.step_bytes(sizes, name, "cpu", weight_decay=group["weight_decay"])
        for sizes, group in zip(shapes, groups, strict=True)
    )
    assert temporary == pytest.approx(truth[1], rel=0.005, abs=200)  # rows and columns of adafactor are left out
    del kept, also_kept  # their states were alive until here


def test_paged_states_of_large_parameters_leave_the_gpu() -> None:
    train = Train(optim="paged_adamw_8bit")
    with FakeTensorMode(allow_non_fake_inputs=True):
        optimizer = optimizers.build(_with_gradients(_Model()), train, "cuda")
        optimizer.step()
    sizes = [parameter.numel() for parameter in _Model().parameters()]
    assert optimizer.paged_bytes == 2 * 512 * 300 == optimizers.paged_bytes(sizes, train.optim)
    paged, plain = (optimizers.state_bytes(sizes, name, "cuda") for name in (train.optim, "adamw_bnb_8bit"))
    assert plain - paged == optimizer.paged_bytes
    assert optimizers.paged_bytes(sizes, "adamw_bnb_8bit") == 0


@pytest.mark.parametrize(
    ("name", "copies"), [("adamw_torch", 0), ("sgd", 1), ("rmsprop", 2), ("adagrad", 2), ("lion_8bit", 0)]
)
def test_a_gpu_updates_all_parameters_of_a_group_at_once(name: str, copies: int) -> None:
    assert optimizers.step_bytes([1024, (16, 64)], name, "cuda", weight_decay=0.1) == copies * 2 * 4096
    assert optimizers.step_bytes([], name, "cuda") == 0


def test_states_are_rounded_up_to_blocks_on_a_gpu() -> None:
    assert optimizers.state_bytes([(100, 4)], "adamw_torch", "cpu") == 2 * 1600 + 4
    assert optimizers.state_bytes([(100, 4)], "adamw_torch", "cuda") == 2 * 2048 + 512
    assert optimizers.state_bytes([(100, 4)], "adafactor", "cpu") == 400 + 16 + 4
    assert optimizers.state_bytes([400], "adafactor", "cpu") == 1600 + 4


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adagrad"])
def test_the_way_of_a_gpu_is_taken_for_tensors_without_one(name: str) -> None:
    optimizer = optimizers.build(_Model(), Train(optim=name), "cuda")
    assert all(group["foreach"] for group in optimizer.param_groups)
