"""An optimizer's step that runs out of memory anywhere in it ends in the weights and states of one that did not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from voxcli.errors import TrainingError
from voxcli.recipe.schema import Train
from voxcli.train import optimizer as optimizers
from voxcli.train import updating
from voxcli.train.updating import Update

STEPS = 3
CPU = torch.device("cpu")


class Fails(TorchDispatchMode):
    """Runs out of memory at the operations `at`, before they do anything; counts all of them."""

    def __init__(self, *at: int) -> None:
        super().__init__()
        self.at, self.count = at, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "profiler" not in str(function):  # hides behind the step itself, and asks for no memory
            self.count += 1
            if self.count in self.at:
                raise torch.OutOfMemoryError(f"CUDA out of memory at {function}")
        return function(*args, **(kwargs or {}))


def model() -> torch.nn.Module:
    """Matrices and vectors, one large enough for 8-bit states."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(80, 60), torch.nn.LayerNorm(60), torch.nn.Linear(60, 4))


def plain(name: str, **settings: Any) -> Callable[[torch.nn.Module], torch.optim.Optimizer]:
    """A torch optimizer that `[train] optim` does not make: as transformers' Trainer has them."""
    return lambda module: getattr(torch.optim, name)(module.parameters(), lr=0.01, **settings)


MADE = {
    name: lambda module, name=name: optimizers.build(
        module, Train(max_steps=1, optim=name, learning_rate=0.01, weight_decay=0.1), CPU
    )
    for name in optimizers.NAMES
} | {
    "AdamW foreach": plain("AdamW", foreach=True),
    "SGD momentum": plain("SGD", foreach=True, momentum=0.9, weight_decay=0.1),
    "RMSprop foreach": plain("RMSprop", foreach=True),
}


def result(
    made: Callable[[torch.nn.Module], torch.optim.Optimizer], step: int = 0, at: tuple[int, ...] = ()
) -> tuple[dict[str, torch.Tensor], list[Any], int, list[str]]:
    """Weights and states after `STEPS`, the operations of step `step`, and what was told; it fails at `at`."""
    module = model()
    optimizer = made(module)
    told: list[str] = []
    Update.of(optimizer, failed=told.append, exhausted=lambda: TrainingError("too small"))
    generator = torch.Generator().manual_seed(1)
    for number in range(STEPS):
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        if number == 1:  # a layer that this step leaves out
            module[1].weight.grad = None
        gradients = [parameter.grad for parameter in module.parameters()]
        fails = Fails(*(at if number == step else ()))
        with fails:
            optimizer.step()
        if number == step:
            count = fails.count
        assert [parameter.grad for parameter in module.parameters()] == gradients, "the same tensors"
    states = [copy.deepcopy(optimizer.state[parameter]) for parameter in module.parameters()]
    return {name: value.clone() for name, value in module.state_dict().items()}, states, count, told


def assert_equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    for name, weight in one[0].items():
        assert torch.equal(other[0][name], weight), name
    for mine, theirs in zip(one[1], other[1], strict=True):
        assert set(mine) == set(theirs)
        for key, value in mine.items():
            same = torch.equal(theirs[key], value) if torch.is_tensor(value) else theirs[key] == value
            assert same, key


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts for these small models."""
    monkeypatch.setattr(updating, "PART_BYTES", 80 * 60 * 4 + 300)
    monkeypatch.setattr(updating, "release", lambda: None)  # collects garbage: most of the time here


@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("name", MADE)
def test_every_operation_may_fail_once(name: str, step: int) -> None:
    calm = result(MADE[name], step)
    plainly = _undisturbed(MADE[name])
    for key, weight in plainly.items():
        assert torch.equal(calm[0][key], weight), "taking it in parts changes nothing"
    assert calm[2] >= 1
    for at in range(1, calm[2] + 1, 1 + calm[2] // 30):  # all of them but where there are hundreds
        shaken = result(MADE[name], step, (at,))
        assert_equal(calm, shaken)
        assert len(shaken[3]) == 1


@pytest.mark.parametrize("name", ["adamw_torch", "sgd", "adagrad", "adafactor", "adamw_bnb_8bit"])
def test_it_may_fail_twice(name: str) -> None:
    calm = result(MADE[name])
    shaken = result(MADE[name], at=(2, 3))
    assert_equal(calm, shaken)
    assert len(shaken[3]) == 1, "told once a step"


def _undisturbed(made: Callable[[torch.nn.Module], torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    module = model()
    optimizer = made(module)
    generator = torch.Generator().manual_seed(1)
    for number in range(STEPS):
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        if number == 1:
            module[1].weight.grad = None
        optimizer.step()
    return dict(module.state_dict())


@pytest.mark.parametrize("name", ["adamw_torch", "adagrad", "adamw_bnb_8bit"])
def test_what_never_fits_ends(name: str) -> None:
    with pytest.raises(TrainingError, match="too small"):
        result(MADE[name], at=tuple(range(1, 1000)))


def test_other_errors_stay_what_they_are() -> None:
    module = model()
    optimizer = MADE["adamw_torch"](module)
    Update.of(optimizer, failed=lambda said: None, exhausted=lambda: TrainingError("too small"))
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.register_step_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("device-side assert")))
    with pytest.raises(RuntimeError, match="device-side assert"):
        optimizer.step()


class Foreign(torch.optim.Optimizer):
    """Counts in its group: taken in parts it would count each part."""

    def __init__(self, parameters: Any, *, after: bool) -> None:
        super().__init__(parameters, {"k": 0})
        self.after, self.fail = after, True

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        if self.fail and not self.after:
            self.fail = False
            raise torch.OutOfMemoryError("CUDA out of memory")
        for group in self.param_groups:
            group["k"] += 1
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad)
                    if self.fail:
                        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("after", [False, True])
def test_the_step_of_an_unknown_optimizer_is_not_repeated(after: bool) -> None:
    module = torch.nn.Linear(2, 2)
    before = module.weight.detach().clone()
    optimizer = Foreign(module.parameters(), after=after)
    Update.of(optimizer, failed=lambda said: None, exhausted=lambda: TrainingError("too small"))
    module.weight.grad = torch.ones(2, 2)
    with pytest.raises(TrainingError):
        optimizer.step()
    assert torch.equal(module.weight, before - 1 if after else before)


def test_a_step_can_be_left_out() -> None:
    module = model()
    optimizer = MADE["adamw_torch"](module)
    update = Update.of(optimizer, failed=lambda said: None, exhausted=lambda: TrainingError("too small"))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    update.skip = True
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    optimizer.step()
    assert any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("name", ["adamw_torch", "sgd"])
def test_schedulers_and_scalers_take_it(name: str) -> None:
    module = model()
    optimizer = MADE[name](module)
    told: list[str] = []
    Update.of(optimizer, failed=told.append, exhausted=lambda: TrainingError("too small"))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    scaler = torch.amp.GradScaler("cpu")
    loss = module(torch.ones(1, 80)).sum()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    before = module[0].weight.detach().clone()
    with Fails(4):
        scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    assert told
    assert not torch.equal(module[0].weight, before)
    assert optimizer.param_groups[0]["lr"] == 0.005
