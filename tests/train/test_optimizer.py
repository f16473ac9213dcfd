"""Optimizers by their transformers names; decay spares biases and norms."""

from __future__ import annotations

import pytest
import torch

from voxcli.errors import RecipeError, TrainingError
from voxcli.recipe.schema import Train
from voxcli.train import optimizer

CPU = torch.device("cpu")


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.norm = torch.nn.LayerNorm(4)
        self.conv = torch.nn.Conv1d(4, 4, 3)


def test_decay_spares_biases_and_norms() -> None:
    model = Small()
    made = optimizer.build(model, Train(weight_decay=0.1), CPU)
    decay = {id(one): group["weight_decay"] for group in made.param_groups for one in group["params"]}
    named = {name: decay[id(parameter)] for name, parameter in model.named_parameters()}
    assert {name for name, value in named.items() if value} == {"linear.weight", "conv.weight"}


@pytest.mark.parametrize("name", ["adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"])
def test_it_lowers_a_loss(name: str) -> None:
    torch.manual_seed(0)
    model = Small()
    made = optimizer.build(model, Train(optim=name, learning_rate=0.01), CPU)
    data = torch.randn(8, 4)

    def loss() -> torch.Tensor:
        return (model.norm(model.linear(data)) - 1).square().mean()

    before = float(loss())
    for _ in range(10):
        made.zero_grad()
        loss().backward()
        made.step()
    assert float(loss()) < before


def test_adam_takes_its_keys() -> None:
    keys = {"learning_rate": 3e-3, "adam_beta1": 0.8, "adam_beta2": 0.95, "adam_epsilon": 1e-6}
    group = optimizer.build(Small(), Train(**keys), CPU).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (3e-3, (0.8, 0.95), 1e-6)


@pytest.mark.parametrize("name", sorted(optimizer.BITSANDBYTES))
def test_bitsandbytes_is_asked_for_its_own(name: str) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    made = optimizer.build(Small(), Train(optim=name), CPU)
    assert isinstance(made, bitsandbytes.optim.optimizer.Optimizer8bit)


def test_frozen_parameters_are_left_out() -> None:
    model = Small()
    model.linear.requires_grad_(False)
    made = optimizer.build(model, Train(), CPU)
    assert sum(one.numel() for group in made.param_groups for one in group["params"]) == 8 + 4 * 4 * 3 + 4
    model.requires_grad_(False)
    with pytest.raises(TrainingError, match="nothing to train"):
        optimizer.build(model, Train(), CPU)


def test_a_misspelled_name_gets_a_suggestion() -> None:
    with pytest.raises(RecipeError, match="no optimizer is called 'adamw'") as caught:
        optimizer.check("adamw")
    assert "did you mean `adamw_" in str(caught.value.help)
