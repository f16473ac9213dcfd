"""What both backends promise: exact resume, workers that change nothing, adapters, precision, telling errors."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper

BACKENDS = ("accelerate", "transformers")

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
    per_device_train_batch_size = 3
    gradient_accumulation_steps = 2
    learning_rate = 1e-2
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    eval_steps = 2
    use_cpu = true
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models with dropout."""
    folder = tmp_path_factory.mktemp("models")
    tiny_ctc(folder / "ctc", hidden_dropout=0.2)
    tiny_whisper(folder / "whisper", dropout=0.2)
    return folder


@pytest.fixture
def project(vox_project: Callable[..., Project], models: Path) -> Project:
    made = vox_project({"r.toml": RECIPE})
    made.speech("data", n=8)
    shutil.copytree(models, made.path, dirs_exist_ok=True)
    return made


def log_of(project: Project, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.path / "runs" / name / "log.jsonl").read_text().splitlines()]


def losses(project: Project, name: str) -> list[float]:
    return [entry["loss"] for entry in log_of(project, name) if "loss" in entry]


def train(project: Project, name: str, *arguments: str) -> list[float]:
    project.run("train", "r.toml", f'name="{name}"', *arguments).assert_ok()
    return losses(project, name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_in_two_parts_is_the_run_in_one(project: Project, backend: str) -> None:
    given = f'backend.type="{backend}"'
    whole = train(project, "whole", given)
    first = train(project, "parts", given, "train.max_steps=1", "train.eval_steps=1")
    assert first == whole[:1]
    assert train(project, "parts", given, "--resume") == whole
    validations = [entry["validation"] for entry in log_of(project, "whole") if "validation" in entry]
    assert [entry["validation"] for entry in log_of(project, "parts") if "validation" in entry][-2:] == validations
    weights = [
        project.path / "runs" / name / "checkpoints/step-000004/model.safetensors" for name in ("whole", "parts")
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_adapter_is_trained_saved_and_continued(project: Project, backend: str) -> None:
    given = (f'backend.type="{backend}"', 'model.type="whisper"', 'model.checkpoint="whisper"')
    given += ('model.language="en"', "adapter.r=2", "adapter.lora_dropout=0.2")
    whole = train(project, "whole", *given)
    train(project, "parts", *given, "train.max_steps=2")
    assert train(project, "parts", *given, "--resume") == whole
    best = project.path / "runs" / "whole" / "best"
    assert (best / "adapter_model.safetensors").is_file()
    assert not (best / "model.safetensors").exists()
    assert any(
        weight.abs().max() > 0
        for name, weight in load_file(best / "adapter_model.safetensors").items()
        if "lora_B" in name
    )


def test_the_number_of_workers_changes_no_loss(project: Project) -> None:
    given = ("train.max_steps=3", "train.eval_steps=3", 'data.0.type="manifest"')
    assert train(project, "two", *given, "train.dataloader_num_workers=2") == train(project, "none", *given)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bfloat16_is_near_float32(project: Project, backend: str) -> None:
    given = (f'backend.type="{backend}"', "train.max_steps=2")
    exact = train(project, "float32", *given)
    near = train(project, "bfloat16", *given, 'train.mixed_precision="bf16"')
    assert near != exact
    assert near == pytest.approx(exact, rel=0.05)


NO_MEMORY = """
    import torch
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_start(run):
        def loss(bundle, batch):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        object.__setattr__(run.task, "loss", loss)
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_no_utterance_fits_the_run_ends_with_the_repair(project: Project, backend: str) -> None:
    project.write({"no_memory.py": NO_MEMORY})
    result = project.run("train", "r.toml", f'backend.type="{backend}"', "--plugin", "no_memory.py").assert_code(1)
    assert "error: step 3: out of memory on cpu in the forward pass of " in result.err
    assert "not even one utterance fits, 3 steps in a row" in result.err
    assert "= help: train.gradient_checkpointing=true" in result.err
    incidents = [entry for entry in log_of(project, "r") if "incident" in entry]
    assert {entry["incident"] for entry in incidents} == {"memory"}
    assert len(incidents[0]["utterances"]) == 3


NOT_FINITE = """
    import dataclasses
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_start(run):
        true = type(run.task).loss
        def loss(bundle, batch):
            total, count = true(run.task, bundle, batch)
            return total * (float("nan") if run.state.step == 2 else 1.0), count
        object.__setattr__(run.task, "loss", loss)
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_not_a_number_stops_and_what_was_learned_stays(project: Project, backend: str) -> None:
    project.write({"not_finite.py": NOT_FINITE})
    given = (f'backend.type="{backend}"', "--plugin", "not_finite.py")
    result = project.run("train", "r.toml", *given).assert_code(1)
    assert "error: step 3: the loss is nan; every utterance gives that alone, and so do others: " in result.err
    assert "the weights were not changed by this step" in result.err
    assert len(losses(project, "r")) == 2
    run = project.path / "runs" / "r"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000002"]
    weights = load_file(run / "best" / "model.safetensors")
    assert all(torch.isfinite(weight).all() for weight in weights.values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_disk_that_fills_up_stops_the_run_and_keeps_it(project: Project, backend: str) -> None:
    disk = project.path / "runs"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "vox-test", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        given = ("train", "r.toml", f'backend.type="{backend}"', "train.max_steps=8", "train.save_steps=1")
        given += ("train.eval_steps=8", "train.save_total_limit=8")
        result = project.run(*given).assert_code(1)
        assert "could not be written: the disk is full" in result.err
        assert "a checkpoint takes about 0." in result.err
        checkpoints = sorted((disk / "r" / "checkpoints").iterdir())
        assert checkpoints
        assert len(losses(project, "r")) == len(checkpoints) + 1
        load_file(checkpoints[-1] / "model.safetensors")
        for old in checkpoints[:-1]:  # room is made
            shutil.rmtree(old)
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        project.run(*given, "--resume").assert_ok()
        assert len(losses(project, "r")) == 8
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)  # a mapped file may still be open


def test_what_the_trainer_does_not_have_is_said(project: Project) -> None:
    given = ("train", "r.toml", 'backend.type="transformers"')
    assert "no key of TrainingArguments" in project.run(*given, "backend.arguments.warmup_ratio=0.1").assert_code(2).err
    assert "is set in [train]" in project.run(*given, "backend.arguments.learning_rate=0.1").assert_code(2).err
    assert "no optimizer is called 'adam'" in project.run(*given, 'train.optim="adam"').assert_code(2).err


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_key_of_train_is_honoured(backend: str) -> None:
    import dataclasses

    from voxcli.plugins.manager import manager
    from voxcli.recipe.schema import Train

    keys = {field.name for field in dataclasses.fields(Train)}
    assert manager().registry.load("backend", backend).supports == keys  # type: ignore[attr-defined]
