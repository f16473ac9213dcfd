"""A run in stages: what is handed over, gates, resuming inside any of them, and what other commands make of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from forked import popen

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc
from voxcli.train import checkpoint

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "ctc"

    [train]
    max_steps = 3
    per_device_train_batch_size = 3
    learning_rate = 1e-2
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    eval_steps = 2
    use_cpu = true

    [[stage]]
    name = "short"
    gate = { metric = "loss", at_most = 1000.0 }
    [stage.filter]
    max_duration = 0.7
    [stage.model]
    freeze_feature_encoder = true

    [[stage]]
    name = "all"
    [stage.train]
    max_steps = 4
    learning_rate = 1e-3
"""
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("models") / "ctc", hidden_dropout=0.2)


def filled(made: Project, model: Path) -> Project:
    made.speech("data", texts=["one", "two", "seventeen xyz"], splits={"train": 9, "validation": 2, "test": 1})
    shutil.copytree(model, made.path / "ctc")
    return made


@pytest.fixture
def project(vox_project: Callable[..., Project], model: Path) -> Project:
    return filled(vox_project({"r.toml": RECIPE}), model)


def stage(project: Project, name: str, folder: str) -> Path:
    return project.path / "runs" / name / "stages" / folder


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in log(folder) if "loss" in entry]


def result(project: Project, name: str) -> bytes:
    return (stage(project, name, "2-all") / "checkpoints" / "step-000004" / WEIGHTS).read_bytes()


def test_a_run_in_stages(project: Project) -> None:
    dry = project.run("train", "r.toml", "--dry-run", "--json").assert_ok()
    short, everything = json.loads(dry.out)["stages"]
    assert (short["steps"]["total"], everything["steps"]["total"]) == (3, 4)
    assert short["splits"]["train"]["utterances"] == 6
    assert everything["splits"]["train"]["utterances"] == 9
    assert short["parameters"]["trained"] < everything["parameters"]["trained"]

    said = project.run("train", "r.toml", "--json").assert_ok()
    told = json.loads(said.out)
    assert [one["steps"] for one in told["stages"]] == [3, 4]
    first, second = stage(project, "r", "1-short"), stage(project, "r", "2-all")
    rates = [[entry["learning_rate"] for entry in log(folder) if "loss" in entry] for folder in (first, second)]
    assert rates == [[1e-2] * 3, [1e-3] * 4]
    # the optimizer goes on: its count of steps, its moments of what was trained before, new ones of what was not
    trained = checkpoint.read_training(second / "checkpoints" / "step-000004")
    names = trained["handover"]["names"]
    counts = {names[index]: int(state["step"]) for index, state in trained["optimizer"]["state"].items()}
    assert set(counts.values()) == {4, 7}
    frozen = [name for name, count in counts.items() if count == 4]
    assert all("feature_extractor" in name for name in frozen)
    # the vocabulary is that of all stages
    assert "".join(sorted({"x", "y", "z"} & set(json.loads((first / "best/vocab.json").read_text())))) == "xyz"

    root = project.path / "runs" / "r"
    assert (root / "best").resolve() == (second / "best").resolve()
    scored = project.run("evaluate", "runs/r", "--split", "test").assert_ok()
    assert "runs/r/evaluation/test-2-all-step-00000" in scored.out + scored.err
    sound = next((project.path / "data/audio").glob("test-*"))
    project.run("transcribe", sound, "--model", "runs/r").assert_ok()
    looked = project.run("doctor", "runs/r", "--only", "T", "--json")
    assert json.loads(looked.out)["findings"] == []
    assert "runs/r is complete" in project.run("train", "runs/r", "--resume").assert_ok().err
    again = project.run("train", "r.toml").assert_code(2)
    assert "runs/r already holds a run in stages, the newest of them 2-all" in again.err
    changed = project.run("train", "r.toml", "--resume", "stage.0.train.learning_rate=0.5").assert_code(1)
    assert "train.learning_rate: 0.01 -> 0.5" in changed.err
    alone = project.run("train", "runs/r/stages/2-all", "--resume").assert_code(2)
    assert "is a stage of a run" in alone.err
    assert "vox train runs/r --resume" in alone.err


def test_a_run_that_is_cut_anywhere_is_the_run_in_one(vox_project: Callable[..., Project], model: Path) -> None:
    project = filled(vox_project({"r.toml": RECIPE, "wait.py": WAIT}), model)
    project.run("train", "r.toml", 'name="whole"').assert_ok()
    given = ("train", "r.toml", 'name="parts"', "train.save_steps=1")
    project.run(*given, "stage.0.train.max_steps=2", "stage.0.gate.at_most=0.001").assert_code(1)  # within the first
    process = popen(project, *given, "--resume", "--plugin", "wait.py", "--no-doctor")  # ends it, begins the second
    deadline = time.monotonic() + 600
    while not (project.path / "waiting").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(losses(stage(project, "parts", "2-all"))) == 3
    project.run("train", "runs/parts", "--resume", "--no-doctor").assert_ok()
    (stage(project, "parts", "2-all") / "passed.json").unlink()  # killed before it was written
    project.run("train", "runs/parts", "--resume", "--no-doctor").assert_ok()
    for folder in ("1-short", "2-all"):
        assert losses(stage(project, "parts", folder)) == losses(stage(project, "whole", folder))
    assert result(project, "parts") == result(project, "whole")


WAIT = """
    import time
    from pathlib import Path
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_log(run, step, metrics):
        if "loss" in metrics and run.folder.name == "2-all" and step == 3:
            Path("waiting").touch()
            time.sleep(600)
"""


def test_a_gate_that_is_not_passed_ends_the_run(project: Project) -> None:
    trainer = 'backend.type="transformers"'
    told = project.run("train", "r.toml", trainer, "stage.0.gate.at_most=0.001").assert_code(1)
    assert "error: stage 1 'short' does not pass its gate: loss is " in told.err
    assert "at step-000003, and at most 0.001 is asked for" in told.err
    assert "stage.0.train.max_steps=6 with --resume" in told.err
    assert not stage(project, "r", "2-all").exists()
    project.run("train", "r.toml", trainer, "--resume").assert_ok()
    trained = checkpoint.read_training(stage(project, "r", "2-all") / "checkpoints" / "step-000004")
    assert {int(one["step"]) for one in trained["optimizer"]["state"].values()} == {4, 7}


WRONG = (
    (["stage.0.model.checkpoint=other"], "R020", "a stage has no model.checkpoint of its own"),
    (["stage.0.adapter.r=2"], "R020", "a stage has no adapter"),
    (["stage.0.steps=2"], "R020", "[[stage]] has no key 'steps'"),
    (["stage.0.gate.metric=werr"], "R020", "the gate looks at 'werr', which is not measured"),
    (["stage.0.gate.at_least=1.0"], "R020", "the gate has two aims"),
    (["~stage.0.gate.at_most"], "R020", "the gate says neither at_most nor at_least"),
    (["stage.0.name='a/b'"], "R020", 'name is "a/b", expected a file name'),
    (["stage.1.unset=['train.batch_duration']"], "R020", "unset names 'train.batch_duration'"),
    (["stage.1.train.max_step=2"], "R005", "stage 2 'all': [train] has no key 'max_step'"),
    (["train.max_step=2"], "R005", "[train] has no key 'max_step'"),
    (["~train.max_steps"], "R010", "stage 1 'short': the run has no length"),
    (["stage=[]"], "R020", "stage is empty, expected tables"),
)


@pytest.mark.parametrize(("changes", "code", "message"), WRONG)
def test_what_a_stage_cannot_be(project: Project, changes: list[str], code: str, message: str) -> None:
    found = project.run("recipe", "check", "r.toml", *changes).assert_code(2)
    assert f"error[{code}]: {message}" in found.err
    assert found.err.count("error[") == 1


def test_a_recipe_in_stages_is_shown_as_one(project: Project) -> None:
    shown = project.run("recipe", "show", "r.toml").assert_ok()
    assert "[[stage]]" in shown.out
    project.write({"again.toml": shown.out})
    again = project.run("recipe", "show", "again.toml", "--json").assert_ok()
    assert json.loads(again.out) == json.loads(project.run("recipe", "show", "r.toml", "--json").out)


def test_a_plan_is_for_the_stage_that_needs_most(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.memory import stages
    from voxcli.recipe.resolve import resolve

    searched: list[tuple[int, bool]] = []

    def needs(recipe: Any, device: Any, *, search: bool, progress: Any) -> Any:
        searched.append((recipe.train.max_steps, search))
        return SimpleNamespace(total=100 - recipe.train.max_steps)

    monkeypatch.setattr(stages.one, "predict", needs)
    recipe = resolve(project.path / "r.toml")
    device: Any = None
    part, totals, worst = stages.predict(recipe, device)
    assert part is recipe.stages[0].recipe
    assert totals == {"1-short": 97, "2-all": 96}
    assert worst.total == 97
    assert searched == [(3, False), (4, False), (3, True)]
    refused = project.run("plan", "r.toml", "--ram", "8GiB", "--apply", "--yes").assert_code(2)
    assert "--apply writes one row, and this recipe has stages" in refused.err
