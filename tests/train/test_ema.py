"""A moving average of the weights: what it is, that evaluations and checkpoints have it, and that a resume keeps it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from voxcli.memory.setup import Setup, Shape
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc
from voxcli.train import checkpoint
from voxcli.train.ema import Average

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "ctc"

    [train]
    max_steps = 4
    per_device_train_batch_size = 4
    learning_rate = 1e-2
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    eval_steps = 1
    save_total_limit = 9
    ema_decay = 0.3
    use_cpu = true
"""
BACKENDS = ("accelerate", "transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("models") / "ctc", hidden_dropout=0.2)


@pytest.fixture
def project(vox_project: Callable[..., Project], model: Path) -> Project:
    made = vox_project({"r.toml": RECIPE})
    made.speech("data", n=8)
    shutil.copytree(model, made.path / "ctc")
    return made


def train(project: Project, name: str, *arguments: str) -> list[dict[str, Any]]:
    project.run("train", "r.toml", f'name="{name}"', *arguments).assert_ok()
    lines = (project.path / "runs" / name / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(log: list[dict[str, Any]]) -> list[float]:
    return [entry["loss"] for entry in log if "loss" in entry]


def validations(log: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [entry["validation"] for entry in log if "validation" in entry]


def saved(project: Project, name: str, step: int) -> Path:
    return project.path / "runs" / name / "checkpoints" / f"step-{step:06d}"


def test_the_decay_rises_and_the_average_follows() -> None:
    weights = torch.nn.Parameter(torch.zeros(2))
    average = Average({"w": weights}, decay=0.5)
    assert [average.decay(step) for step in (1, 8, 100)] == [2 / 11, 0.5, 0.5]
    weights.data.fill_(11.0)
    average.update(1)
    with average.shown():
        assert weights.tolist() == pytest.approx([9.0, 9.0])
    assert weights.tolist() == [11.0, 11.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_saved_is_the_average_and_a_resume_goes_on_with_the_raw_weights(project: Project, backend: str) -> None:
    given = f'backend.type="{backend}"'
    whole = train(project, "whole", given)
    averages = [load_file(saved(project, "whole", step) / "model.safetensors") for step in (1, 2, 3, 4)]
    for step in (2, 3, 4):
        raw = checkpoint.read_training(saved(project, "whole", step))["raw"]
        assert raw
        for name, weight in raw.items():
            kept = min(0.3, (1 + step) / (10 + step))
            expected = kept * averages[step - 2][name] + (1 - kept) * weight
            torch.testing.assert_close(averages[step - 1][name], expected, rtol=1e-5, atol=1e-7)
    train(project, "parts", given, "train.max_steps=2")
    parts = train(project, "parts", given, "--resume")
    assert losses(parts) == losses(whole)
    assert validations(parts) == validations(whole)
    for name in ("model.safetensors", "training_state/training.safetensors"):
        assert (saved(project, "parts", 4) / name).read_bytes() == (saved(project, "whole", 4) / name).read_bytes()


def test_training_is_not_changed_and_evaluations_are(project: Project) -> None:
    averaged = train(project, "averaged")
    raw = train(project, "raw", "~train.ema_decay")
    nothing_kept = train(project, "nothing-kept", "train.ema_decay=0.0")
    assert losses(averaged) == losses(raw) == losses(nothing_kept)
    assert validations(nothing_kept) == validations(raw)
    assert all(one["loss"] != other["loss"] for one, other in zip(validations(averaged), validations(raw), strict=True))


def test_only_the_adapter_is_averaged(project: Project) -> None:
    log = train(project, "whole", "adapter.r=2", "train.max_steps=2")
    train(project, "parts", "adapter.r=2", "train.max_steps=1")
    assert losses(train(project, "parts", "adapter.r=2", "train.max_steps=2", "--resume")) == losses(log)
    raw = checkpoint.read_training(saved(project, "whole", 2))["raw"]
    assert raw
    assert all("lora_" in name or "lm_head" in name for name in raw)
    adapters = [saved(project, name, 2) / "adapter_model.safetensors" for name in ("whole", "parts")]
    assert adapters[0].read_bytes() == adapters[1].read_bytes()


def test_its_memory_is_predicted(project: Project) -> None:
    from voxcli.api import Corpus
    from voxcli.memory.frontier import Frontier
    from voxcli.memory.step import trace_step
    from voxcli.recipe.resolve import resolve

    recipe = resolve(project.path / "r.toml", [f'model.checkpoint="{project.path / "ctc"}"'])
    setup = Setup.of(recipe, Corpus("abc", (), 8, 8.0), device="cpu")
    shape = Shape(2, 2.0, 8)
    with_it = trace_step(setup, shape).peaks.steady
    without = trace_step(setup.with_train(ema_decay=None), shape).peaks.steady
    assert with_it.parts["averages"] == with_it.parts["trained weights"] > 0
    assert with_it.total - without.total == with_it.parts["averages"]
    assert Frontier.fit(setup).peak(shape).steady.parts["averages"] == with_it.parts["averages"]


def test_checkpoints_are_averaged_at_the_end(project: Project) -> None:
    given = ("~train.ema_decay", "train.average_checkpoints=3", "train.average_by=last", "train.save_total_limit=1")
    log = train(project, "mean", *given)
    entry = next(entry for entry in log if "averaged" in entry)
    assert entry["averaged"] == [2, 3, 4]
    folder = project.path / "runs" / "mean"
    mean = load_file(folder / "averaged" / "model.safetensors")
    kept = [load_file(saved(project, "mean", step) / "model.safetensors") for step in entry["averaged"]]
    for name, weight in mean.items():
        torch.testing.assert_close(weight, torch.stack([one[name] for one in kept]).mean(0))
    best = min(one["loss"] for one in validations(log))
    scored = entry["validation_of_average"]
    assert set(scored) == set(validations(log)[0])
    assert entry["best"] == ((folder / "best").resolve().name == "averaged")
    assert scored["loss"] != best
    project.run("train", "runs/mean", "--resume").assert_ok()  # once is enough
    assert len([entry for entry in folder.joinpath("log.jsonl").read_text().splitlines() if "averaged" in entry]) == 1
