"""`[backend] fsdp = true`: two processes with a part of the model each do what two whole ones do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed.fsdp  # these three here, so that no forked process imports them
import torch.distributed.tensor
import transformers.optimization  # noqa: F401
from forked import together
from safetensors.torch import load_file

from voxcli.errors import RecipeError
from voxcli.recipe.schema import Quantization
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_pretraining, tiny_whisper
from voxcli.train import checkpoint
from voxcli.train.sharding import check_model

SET_ASIDE = ("audio/train-001.wav", "audio/train-002.wav", "audio/train-004.wav")  # of five, an epoch of two steps
ADAPTER = """
    mixed_precision = "bf16"
    frozen_dtype = "bfloat16"
    gradient_checkpointing = true
    average_checkpoints = 2

    [adapter]
    r = 4
"""
TEXTS = ("one", "two three four five six", "seven eight", "nine ten one two", "three")

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "{model}"
    checkpoint = "{model}"
    {keys}

    [train]
    max_steps = 4
    eval_steps = 2
    save_steps = 2
    save_total_limit = 10
    learning_rate = 0.01
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    max_grad_norm = 0.5
    per_device_train_batch_size = 1
    gradient_accumulation_steps = 2
    logging_steps = 1
    use_cpu = true
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models; those that write text draw nothing at random."""
    folder = tmp_path_factory.mktemp("models")
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    tiny_ctc(folder / "ctc", **still, final_dropout=0.0, layerdrop=0.0)
    tiny_whisper(folder / "whisper", dropout=0.0)
    tiny_pretraining(folder / "pretraining")
    return folder


@pytest.fixture
def project(vox_project: Callable[..., Project], models: Path) -> Callable[..., Project]:
    """A factory: a project with five utterances to train on, so that an epoch's last step has one for one process."""

    def factory(model: str, more: str = "") -> Project:
        made = vox_project()
        keys = 'language = "en"' if model == "whisper" else ""
        made.write({"r.toml": RECIPE.format(model=model, keys=keys) + more})
        made.speech("data", texts=TEXTS, splits={"train": 5, "validation": 3})
        shutil.copytree(models / model, made.path / model)
        return made

    return factory


class Left:
    """What a run left."""

    def __init__(self, project: Project, name: str, step: int = 4) -> None:
        self.path = project.path / "runs" / name
        self.checkpoint = self.path / "checkpoints" / f"step-{step:06d}"
        lines = [json.loads(line) for line in (self.path / "log.jsonl").read_text().splitlines()]
        self.steps = [(one["loss"], one["grad_norm"]) for one in lines if "loss" in one]
        self.average = [one["validation_of_average"] for one in lines if "averaged" in one]
        self.scores = {one["step"]: one["validation"] for one in lines if "validation" in one}

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        (file,) = self.checkpoint.glob("*model.safetensors")
        return load_file(file)

    @property
    def optimizer(self) -> dict[str, Any]:
        return checkpoint.read_training(self.checkpoint)["optimizer"]


def assert_same(one: Left, other: Left) -> None:
    """Losses, scores, weights and the optimizer's state, to the tolerance of sums in another order."""
    assert len(one.steps) == len(other.steps) > 0
    for mine, theirs in zip(one.steps, other.steps, strict=True):
        assert theirs == pytest.approx(mine, rel=1e-4)
    for step, scores in one.scores.items():
        assert other.scores[step] == pytest.approx(scores, rel=1e-3)
    assert {name: one.shape for name, one in one.weights.items()} == {
        name: one.shape for name, one in other.weights.items()
    }
    for name, weight in one.weights.items():
        torch.testing.assert_close(other.weights[name], weight, rtol=1e-3, atol=1e-4, msg=name)
    assert one.optimizer["param_groups"] == other.optimizer["param_groups"]
    for index, state in one.optimizer["state"].items():
        for key, value in state.items():
            torch.testing.assert_close(other.optimizer["state"][index][key], value, rtol=1e-3, atol=1e-5)


QUICK = {"VOX_PREDICT_MEMORY": "0", "VOX_TRACKERS": "none"}


def commands(*given: tuple[str, ...]) -> list[tuple[str, ...]]:
    """`vox train` for each (name of the run, more)."""
    return [("train", "r.toml", "--no-doctor", f'name="{name}"', *more) for name, *more in given]


def assert_same_average(one: Left, other: Left) -> None:
    """The checkpoints of both were averaged, with the same scores."""
    (average,) = one.average
    assert other.average == [pytest.approx(average, rel=1e-3)]


def test_parts_learn_what_whole_models_learn(project: Callable[..., Project]) -> None:
    made = project("ctc")
    parts, half, longer = "backend.fsdp=true", "train.max_steps=2", "train.max_steps=5"
    out, err = together(made, commands(("whole", half), ("parts", parts, half)), env=QUICK)
    assert out.count("exit code 0") == 4, err
    assert_same(Left(made, "whole", 2), Left(made, "parts", 2))
    # from here on most batches are empty: in step 4 one process has none, and has to keep the other company
    for name in ("whole", "parts"):
        path = Left(made, name, 2).checkpoint / "training_state/state.json"
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "culprits": dict.fromkeys(SET_ASIDE, "unknown")}))
    again = commands(
        ("whole", "--resume", longer),
        ("parts", parts, "--resume"),
        ("parts", "--resume", longer),  # each process has the whole model again
    )
    out, err = together(made, again, env=QUICK)
    assert out.count("exit code 0") == 6, err
    assert_same(Left(made, "whole", 5), Left(made, "parts", 5))


def test_whisper_decodes_and_its_checkpoints_are_averaged(project: Callable[..., Project]) -> None:
    made = project("whisper", "    average_checkpoints = 2\n")
    often = ("train.max_steps=2", "train.eval_steps=1", "train.save_steps=1")
    out, err = together(made, commands(("whole", *often), ("parts", "backend.fsdp=true", *often)), env=QUICK)
    assert out.count("exit code 0") == 4, err
    whole, parts = Left(made, "whole", 2), Left(made, "parts", 2)
    assert len(whole.scores) == 2
    assert_same(whole, parts)
    assert_same_average(whole, parts)


def test_a_loss_that_has_to_know_of_the_whole_step(project: Callable[..., Project]) -> None:
    made = project("pretraining")
    made.speech("data", texts=[3 * text for text in TEXTS], splits={"train": 5, "validation": 3})
    once = ("train.max_steps=2", "train.optim=rmsprop")
    out, err = together(made, commands(("whole", *once), ("parts", "backend.fsdp=true", *once)), env=QUICK)
    assert out.count("exit code 0") == 4, err
    assert_same(Left(made, "whole", 2), Left(made, "parts", 2))


def test_adapter_checkpointing_half_precision_and_the_average(project: Callable[..., Project]) -> None:
    made = project("ctc", ADAPTER)
    out, err = together(made, commands(("whole",), ("parts", "backend.fsdp=true")), env=QUICK)
    assert out.count("exit code 0") == 4, err
    whole, parts = Left(made, "whole"), Left(made, "parts")
    assert_same(whole, parts)
    assert {file.name for file in parts.checkpoint.iterdir()} == {file.name for file in whole.checkpoint.iterdir()}
    assert_same_average(whole, parts)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("train.ema_decay=0.9", "no average of parts is kept"),
        ('train.optim="adafactor"', "'adafactor' needs whole tensors"),
        ('train.mixed_precision="fp16"', "its scale of the loss is not known to fsdp"),
    ],
)
def test_what_needs_whole_tensors_is_refused(project: Callable[..., Project], asked: str, said: str) -> None:
    refused = project("ctc").run("train", "r.toml", "backend.fsdp=true", asked)
    assert refused.code == 2
    assert said in refused.err


def test_models_that_cannot_be_parted_are_refused() -> None:
    still = SimpleNamespace(config=SimpleNamespace(layerdrop=0.0))
    check_model(quantization=None, model=still)
    with pytest.raises(RecipeError, match=r"layerdrop is 0\.1: layers are left out at random") as refused:
        check_model(quantization=None, model=SimpleNamespace(config=SimpleNamespace(layerdrop=0.1)))
    assert str(refused.value.help).startswith("model.layerdrop = 0")
    with pytest.raises(RecipeError, match="quantised weights cannot be parted"):
        check_model(quantization=Quantization(load_in_8bit=True), model=still)


def test_one_process_says_that_it_keeps_the_model_whole(project: Callable[..., Project]) -> None:
    made = project("ctc")
    result = made.run("train", "r.toml", "backend.fsdp=true", "train.max_steps=1", "train.eval_steps=1").assert_ok()
    assert "fsdp has no effect in one process" in result.err
    assert Left(made, "r", 1).weights


@pytest.mark.parametrize("name", ["fsdp", "deepspeed", "parallelism_config"])
def test_the_trainers_own_ways_are_refused_and_name_ours(project: Callable[..., Project], name: str) -> None:
    asked = ("backend.type=transformers", f"backend.arguments={{{name}={{a=1}}}}")
    refused = project("ctc").run("train", "r.toml", *asked)
    assert refused.code == 2
    assert f"backend.arguments.{name}: " in refused.err
    assert '[backend] type = "accelerate", fsdp = true parts weights' in refused.err


@pytest.mark.parametrize(("backend", "fsdp"), [("accelerate", False), ("accelerate", True), ("transformers", False)])
def test_accelerate_launch_may_not_ask_for_it_in_silence(
    project: Callable[..., Project], backend: str, fsdp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project("ctc")
    more = ("backend.fsdp=true",) if fsdp else ()
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    asked = made.run("train", "r.toml", f"backend.type={backend}", *more, "--dry-run")
    assert ("accelerate launch asks for FSDP" in asked.err) is not fsdp
    assert asked.code == (0 if fsdp else 2)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    asked = made.run("train", "r.toml", f"backend.type={backend}", *more, "--dry-run")
    assert asked.code == 2
    assert "DeepSpeed" in asked.err or not fsdp
