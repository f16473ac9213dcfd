"""A run logs what its memory should be and what it was, and is never stopped by either."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from voxcli.api import Bundle, Utterance
from voxcli.memory import calibration, machine, watch
from voxcli.memory.cards import Device
from voxcli.memory.setup import Shape
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "r"
    seed = 3

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = 2
    per_device_train_batch_size = 2
    learning_rate = 1e-3
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("models") / "base", hidden_dropout=0.2)


@pytest.fixture
def project(vox_project: Callable[..., Project], base: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv(watch.SWITCH, "1")
    made = vox_project({"r.toml": RECIPE})
    made.speech("data", n=10)
    shutil.copytree(base, made.path / "base")
    return made


def log_of(project: Project) -> list[dict[str, Any]]:
    lines = (project.path / "runs" / "r" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(project: Project) -> list[float]:
    return [entry["loss"] for entry in log_of(project) if "loss" in entry]


def test_predicted_before_the_first_step_and_measured_after_the_last(project: Project) -> None:
    result = project.run("train", "r.toml").assert_ok()
    assert "predicted" not in result.err, "there is memory enough"
    begin, end = [entry for entry in log_of(project) if "memory" in entry]
    assert (begin["step"], end["step"]) == (0, 2)
    predicted = begin["memory"]["predicted"]
    assert predicted["tensors"] == sum(
        predicted[part]
        for part in ("weights", "trained weights", "gradients", "optimizer", "batch", "activations", "workspace")
    )
    assert predicted["needed"] > predicted["tensors"] > predicted["trained weights"] > 0
    assert begin["memory"]["shape"]["utterances"] == 2
    assert end["memory"]["measured"]["process"] > predicted["tensors"]
    (row,) = calibration.rows()
    assert (row.model, row.options, row.steps, row.kind) == (str(project.path / "base"), "full", 2, "cpu")
    assert row.measured == end["memory"]["measured"]
    assert row.predicted == end["memory"]["predicted"]
    assert row.shape.n_utterances == 2
    assert row.shape.n_labels > 3


def test_a_device_that_is_too_small_is_said_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Device("a small machine", total=2**20, usable=2**20, kind="cpu", capability=(0, 0))
    monkeypatch.setattr(machine, "ram", lambda size=None: tiny)
    result = project.run("train", "r.toml").assert_ok()
    said = [line for line in result.err.splitlines() if "predicted" in line]
    assert len(said) == 1
    assert "for the largest batch, and a small machine has 1 MiB: `vox plan r.toml` says what fits" in said[0]
    assert len(losses(project)) == 2


def test_a_prediction_that_fails_stops_nothing_and_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    undisturbed = losses(project)
    shutil.rmtree(project.path / "runs")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(watch.Watch, "_expectation", broken)
    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    assert losses(project) == undisturbed, "tracing draws no random number of the run's"
    (end,) = [entry["memory"] for entry in log_of(project) if "memory" in entry]
    assert "predicted" not in end
    assert end["measured"]["process"] > 0


def test_where_not_all_batches_can_be_predicted_one_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(*_: Any, **__: Any) -> None:
        raise ValueError("the operations differ")

    monkeypatch.setattr(watch.Frontier, "fit", unfit)
    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    begin, end = [entry["memory"] for entry in log_of(project) if "memory" in entry]
    assert begin["predicted"]["tensors"] >= end["predicted"]["tensors"] > 0


def test_a_run_that_goes_on_predicts_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(watch.SWITCH, "0")
    project.run("train", "r.toml").assert_ok()
    monkeypatch.setenv(watch.SWITCH, "1")
    project.run("train", "r.toml", "train.max_steps=3", "--resume").assert_ok()
    steps = [entry["step"] for entry in log_of(project) if "memory" in entry]
    assert steps == [2, 2, 3], "the first run was asked to predict nothing"
    assert len(calibration.rows()) == 1


def test_a_gpu_says_what_its_allocator_and_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {
        "max_memory_allocated": 700,
        "memory_reserved": 800,
        "max_memory_reserved": 900,
        "mem_get_info": (100, 2000),
    }
    for name, size in sizes.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, size=size: size)
    resets: list[Any] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", resets.append)
    run = SimpleNamespace(device=torch.device("cuda", 0), rank=0)
    watched = watch.Watch(cast(Any, run))
    batch = SimpleNamespace(ids=["a", "b"], padded_duration=6.0, tensors={"labels": torch.zeros(2, 5)})
    assert watched.step(cast(Any, [batch])) == 700
    watched.evaluated()
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 650)
    assert watched.step(cast(Any, [batch])) == 700, "the highest of the run"
    assert resets == [run.device]
    assert watched._measured() == {"tensors": 700, "reserved": 900, "beside": 2000 - 100 - 800}
    assert watched._largest == Shape(2, 3.0, 5)


def test_a_task_that_cannot_count_labels_is_asked_about_the_longest_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a" * n for n in range(100)]
    run = SimpleNamespace(
        bundle=Bundle(model=None, processor=None, family=cast(Any, None)),
        task=SimpleNamespace(),
        splits=SimpleNamespace(train=SimpleNamespace(texts=texts)),
    )
    monkeypatch.setattr("voxcli.memory.watch.label_length", lambda task, bundle, utterance: len(utterance.text))
    count = watch._counter(cast(Any, run))
    counted = [count(Utterance(id=text, audio=Path("x"), text=text)) for text in texts]
    assert sum(1 for n in counted if n) == watch.COUNTED
    assert max(counted) == 99
