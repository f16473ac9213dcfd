"""Levels, utterances and figures of the checks of memory, workers and disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from planted import recipe

from voxcli.doctor.context import Context
from voxcli.doctor.memory import disk_need, pace
from voxcli.doctor.memory.pace import Pace
from voxcli.doctor.memory.prediction import device_of, lacking, prediction_where_it_matters
from voxcli.doctor.memory.worst_batch import members
from voxcli.doctor.subject import subject
from voxcli.memory.cards import Device
from voxcli.memory.machine import named
from voxcli.memory.predict import Phase
from voxcli.memory.setup import Peak, Shape
from voxcli.testing import Project

MIB = 2**20
CARD, RAM = Device("card", 100, 90), Device("RAM", 1000 * MIB, 800 * MIB, kind="cpu")


def phase(tensors: int, **beside: int) -> Phase:
    return Phase("later steps", Shape(1, 1.0, 1), Peak(tensors), beside)


@pytest.mark.parametrize(
    ("device", "tensors", "beside", "level"),
    [
        (CARD, 80, {"context": 10}, None),
        (CARD, 80, {"context": 11}, "error"),
        (RAM, 200 * MIB, {"process": 450 * MIB, "malloc": 900 * MIB}, None),  # the estimate alone is too much
        (RAM, 400 * MIB, {"process": 450 * MIB, "malloc": 900 * MIB}, "warning"),
        (RAM, 1001 * MIB, {"process": 450 * MIB, "malloc": 900 * MIB}, "error"),
    ],
)
def test_how_bad_it_is(device: Device, tensors: int, beside: dict[str, int], level: str | None) -> None:
    prediction: Any = SimpleNamespace(device=device)
    assert lacking(prediction, phase(tensors, **beside)) == level


@pytest.fixture
def project(vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    made = vox_project()
    monkeypatch.chdir(made.path)
    return made


def context(project: Project, *, device: Device | None = None, **sections: Any) -> Context:
    recipe(project, **sections)
    return Context(subject("r.toml"), device=device)


def test_the_utterances_of_the_worst_batch(project: Project) -> None:
    of = context(
        project, speech={"splits": {"train": 6, "validation": 3, "test": 1}, "texts": [w * "a" for w in range(4, 14)]}
    )
    table = of.data.splits.train
    longest = sorted(table, key=lambda one: -float(one.duration or 0.0))
    assert members(of, Phase("first step", Shape(2, 99.0, 0), Peak(0), {})) == tuple(one.id for one in longest[:2])
    limit = float(longest[1].duration or 0.0)
    found = members(of, Phase("later steps", Shape(2, limit, 0), Peak(0), {}))
    assert found == tuple(one.id for one in longest[1:3])
    (validation,) = members(of, Phase("evaluation", Shape(1, 99.0, 0), Peak(0), {}))
    assert validation.startswith("audio/validation")


def test_a_long_text_joins_the_batch_that_it_can_meet(project: Project) -> None:
    of = context(project, kind="whisper", speech={"splits": {"train": 6, "validation": 1, "test": 1}})
    table = of.data.splits.train
    texts = {one.id: len(one.text or "") for one in table}
    found = members(of, Phase("later steps", Shape(2, 99.0, 30), Peak(0), {}))
    assert len(found) == 2
    assert max(texts, key=lambda name: texts[name]) in found or max(texts.values()) in {texts[name] for name in found}


def test_a_small_model_on_a_roomy_device_is_not_traced(project: Project) -> None:
    roomy = context(project, device=named(None, "8GiB"))
    assert prediction_where_it_matters(roomy) is None
    assert "prediction" not in roomy._opened


def test_whose_memory_is_asked_for(project: Project) -> None:
    here = context(project)
    assert (device_of(here).kind, device_of(here).here) == ("cpu", True)
    assert device_of(Context(subject("r.toml"), device=named("T4", None))).name == "T4"


def told(project: Project, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.run("doctor", "r.toml", "--json", *arguments).out)["findings"]
    return found


@pytest.mark.parametrize(
    ("workers", "prepared", "trained", "audio", "said"),
    [
        (0, 100.0, 1000.0, 1e6, True),  # the device waits ten times as long as it computes
        (0, 1000.0, 1000.0, 1e6, True),
        (0, 5000.0, 1000.0, 1e6, False),
        (0, 100.0, 1000.0, 1e4, False),  # two minutes of a run
        (2, 100.0, 150.0, 1e6, False),
        (2, 100.0, 1000.0, 1e6, True),
    ],
)
def test_a_device_that_waits_for_features(
    project: Project, monkeypatch: pytest.MonkeyPatch,
    workers: int, prepared: float, trained: float, audio: float, said: bool,
) -> None:  # fmt: skip
    recipe(project, train={"use_cpu": None, "dataloader_num_workers": workers})
    monkeypatch.setattr(pace, "pace", lambda context: Pace(prepared, trained, audio))
    found = told(project, "--gpu", "T4", "--only", "S104")
    assert bool(found) == said
    if said:
        assert found[0]["level"] == "note"  # of another machine
        assert "of the time" in found[0]["message"]


def test_the_pace_is_measured_on_real_clips(project: Project) -> None:
    augmented = [{"type": "gain", "p": 1.0}]
    found = pace.pace(context(project, device=named("T4", None), augment=augmented, train={"use_cpu": None}))
    assert found is not None
    assert found.prepared > 1
    assert found.trained > 1
    assert found.audio > 100


def test_no_pace_of_audio_that_is_gone(project: Project) -> None:
    of = context(project, device=named("T4", None))
    _ = of.data.splits
    shutil.rmtree(project.path / "data" / "audio")
    assert pace.pace(of) is None


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(disk_need.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


@pytest.mark.parametrize(("free", "level"), [(10, "error"), (300_000, "warning"), (10**9, None)])
def test_a_disk_that_fills_up(project: Project, monkeypatch: pytest.MonkeyPatch, free: int, level: str | None) -> None:
    recipe(project, train={"save_total_limit": 5})
    disk(monkeypatch, free)
    found = told(project, "--only", "S105")
    assert [one["level"] for one in found] == ([level] if level else [])


def test_what_is_there_of_the_run_makes_room(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, 10)
    folder = project.path / "runs/planted/checkpoints/step-000010"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"0" * 3_000_000)
    of = context(project)
    assert disk_need.checkpoints(of).free == 3_000_010
    assert disk_need.checkpoints(of).kept == of.recipe.train.save_total_limit + 2


def test_the_weights_of_the_hub(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    of = context(project)
    assert disk_need.download(of) is None  # a folder
    _ = of.limits, of.config
    object.__setattr__(of.recipe.model, "checkpoint", "somebody/something")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(project.path))
    disk(monkeypatch, 10)
    wanted = disk_need.download(of)
    assert wanted is not None
    assert wanted.size == 4 * of.limits.n_parameters
    assert wanted.free == 10
