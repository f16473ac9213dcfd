"""Optimizers by their transformers names; decay spares biases and norms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from voxcli.errors import ModelError, RecipeError, TrainingError
from voxcli.recipe.schema import Train
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc
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
        optimizer.check(Train(optim="adamw"))
    assert "did you mean `adamw_" in str(caught.value.help)


@pytest.mark.parametrize(
    ("keys", "message", "help"),
    [
        ({"optim": "grokadamw"}, "'grokadamw' needs grokadamw, which cannot be imported", "pip install grokadamw"),
        ({"optim": "adamw_torch_4bit"}, "needs torchao", "pip install torchao"),
        ({"optim": "galore_adamw"}, "which layers it projects", "all-linear"),
        ({"optim": "lomo"}, "cannot be used: it updates within the backward pass", "known: adamw_torch"),
        ({"optim": "schedule_free_adamw"}, "other weights for evaluation", "known: adamw_torch"),
        ({"optim": "sgd", "optim_args": {"momentun": 0.9}}, "sgd has no argument 'momentun'", "known: momentum"),
        ({"optim_args": {"beta1": 0.9}}, "adamw_torch has no argument 'beta1'", "adam_beta1"),
        (
            {"optim": "apollo_adamw", "optim_target_modules": "all-linear", "layer_decay": 0.9},
            "makes its own groups",
            "remove layer_decay",
        ),
    ],
)
def test_what_cannot_be_had_is_said_with_the_repair(keys: dict[str, Any], message: str, help: str) -> None:
    with pytest.raises(RecipeError) as caught:
        optimizer.check(Train(**keys))
    assert message in caught.value.message
    assert help in str(caught.value.help)


def test_every_name_of_transformers_is_known() -> None:
    from transformers.training_args import OptimizerNames

    every = {str(member.value) for member in OptimizerNames}
    assert set(optimizer.NAMES) < set(optimizer.names())
    assert every == {*optimizer.names(), *optimizer._REFUSED}


def test_arguments_reach_the_optimizer() -> None:
    group = optimizer.build(Small(), Train(optim="sgd", optim_args={"momentum": 0.5}), CPU).param_groups[0]
    assert group["momentum"] == 0.5
    pytest.importorskip("bitsandbytes")
    made = optimizer.build(Small(), Train(optim="ademamix", optim_args={"beta3": 0.99, "alpha": 2}), CPU)
    assert type(made).__name__ == "AdEMAMix"
    assert made.param_groups[0]["betas"][2] == 0.99


def test_rates_fall_from_the_top_and_groups_have_their_own(tmp_path: Path) -> None:
    from transformers import AutoModelForCTC

    model = AutoModelForCTC.from_pretrained(tiny_ctc(tmp_path / "ctc"))
    own = {"head": 1e-2, "*.final_layer_norm.*": 5e-4}
    made = optimizer.build(model, Train(learning_rate=1e-3, layer_decay=0.5, learning_rates=own), CPU)
    rate = {id(one): group["lr"] for group in made.param_groups for one in group["params"]}
    found = {name: rate[id(one)] for name, one in model.named_parameters()}
    last = "wav2vec2.encoder.layers.1."
    assert found["lm_head.weight"] == 1e-2
    assert found[f"{last}attention.k_proj.weight"] == 5e-4
    assert found[f"{last}final_layer_norm.bias"] == 5e-4
    assert found["wav2vec2.encoder.layers.0.attention.k_proj.weight"] == 2.5e-4
    assert found["wav2vec2.encoder.layers.0.final_layer_norm.bias"] == 5e-4
    assert found["wav2vec2.encoder.layer_norm.weight"] == 1e-3
    assert found["wav2vec2.feature_extractor.conv_layers.0.conv.weight"] == 1.25e-4
    with pytest.raises(ModelError, match="no part is called 'haed'"):
        optimizer.build(model, Train(learning_rates={"haed": 1e-2}), CPU)


@pytest.mark.parametrize("backend", ["accelerate", "transformers"])
def test_rates_and_frozen_parts_reach_the_run(vox_project: Callable[..., Project], backend: str) -> None:
    project = vox_project({"r.toml": RECIPE})
    project.speech("data", n=4)
    tiny_ctc(project.path / "ctc")
    project.run("train", "r.toml", f'backend.type="{backend}"', "--no-doctor").assert_ok()
    before = load_file(project.path / "ctc/model.safetensors")
    after = load_file(project.path / "runs/r/best/model.safetensors")
    moved = {name: float((after[name] - before[name]).abs().max()) for name in before if name in after}
    assert moved["wav2vec2.encoder.layers.0.attention.k_proj.weight"] == 0.0
    assert moved["wav2vec2.feature_extractor.conv_layers.0.conv.weight"] == 0.0
    # plain SGD without clipping: what a step moves is its rate
    one = moved["wav2vec2.encoder.layers.1.feed_forward.output_dense.bias"]
    project.run("train", "r.toml", f'backend.type="{backend}"', "name=twice", *TWICE, "--no-doctor").assert_ok()
    twice = load_file(project.path / "runs/twice/best/model.safetensors")
    name = "wav2vec2.encoder.layers.1.feed_forward.output_dense.bias"
    assert float((twice[name] - before[name]).abs().max()) == pytest.approx(2 * one, rel=1e-3)


TWICE = ('train.learning_rates={ "*.output_dense.*" = 2e-2 }', "train.lr_scheduler_type=reduce_lr_on_plateau")
RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "ctc"

    [train]
    max_steps = 1
    per_device_train_batch_size = 4
    optim = "sgd"
    learning_rate = 1e-2
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    max_grad_norm = 0.0
    freeze = ["feature_encoder", "encoder.layers.0"]
    use_cpu = true
"""
