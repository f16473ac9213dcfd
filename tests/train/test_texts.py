"""What an evaluation's texts look like, and where a session begins and ends, in log.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train import texts

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
    max_steps = 2
    per_device_train_batch_size = 4
    eval_steps = 1
    use_cpu = true

    [evaluate]
    {evaluate}
"""


def test_texts_that_repeat_are_empty_or_too_long() -> None:
    loop = "thank you for watching " * 12
    pairs = [("one", ""), ("two", " "), ("three", "three"), ("a good day", loop)]
    found = texts.summary(pairs, tokens=[0, 0, 2, 60], limit=64, blank=0.98765)
    assert found == {
        "utterances": 4,
        "empty": 0.5,
        "blank": 0.9877,
        "repeating": 0.25,
        "at_limit": 0.25,
        "length_ratio": round((1 + 5 + len(loop)) / 21, 4),
    }


def test_what_is_not_known_is_none() -> None:
    assert texts.summary([], tokens=None, limit=None, blank=None) == {
        "utterances": 0,
        "empty": 0.0,
        "blank": None,
        "repeating": 0.0,
        "at_limit": None,
        "length_ratio": None,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("she had your dark suit in greasy wash water all year", False),
        ("no no no no", False),
        ("мама мыла раму, а папа читал газету у окна и пил чай с лимоном и сахаром", False),
        ("e" * 60, True),
        ("ha ha ha " * 20, True),
        ("благодаря за вниманието " * 8, True),
    ],
)
def test_repeating(text: str, expected: bool) -> None:
    assert texts.repeats(text) is expected


def log_of(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.path / "runs/r/log.jsonl").read_text().splitlines()]


@pytest.fixture
def trained(vox_project: Callable[..., Project]) -> Callable[..., Project]:
    """A factory: a run of two steps of a tiny model."""

    def factory(model: str, *arguments: str, keys: str = "", evaluate: str = "") -> Project:
        project = vox_project({"r.toml": RECIPE.format(model=model, keys=keys, evaluate=evaluate)})
        project.speech("data", n=8)
        (tiny_ctc if model == "ctc" else tiny_whisper)(project.path / model)
        project.run("train", "r.toml", *arguments).assert_ok()
        return project

    return factory


def test_a_ctc_model_says_how_many_frames_are_blank(trained: Callable[..., Project]) -> None:
    found = [entry["texts"] for entry in log_of(trained("ctc")) if "validation" in entry]
    assert [one["utterances"] for one in found] == [2, 2]
    assert all(0 <= one["blank"] <= 1 for one in found)
    assert {one["at_limit"] for one in found} == {None}


def test_a_decoder_says_how_many_texts_do_not_end(trained: Callable[..., Project]) -> None:
    """Random weights never emit the end."""
    project = trained("whisper", keys='language = "en"', evaluate="max_new_tokens = 12")
    found = [entry["texts"] for entry in log_of(project) if "validation" in entry]
    assert {one["blank"] for one in found} == {None}
    assert all(0 <= one["at_limit"] <= 1 for one in found)
    assert all(one["length_ratio"] > 0 for one in found)


def test_a_session_begins_and_ends(trained: Callable[..., Project]) -> None:
    project = trained("ctc")
    project.run("train", "r.toml", "--resume", "train.max_steps=3").assert_ok()
    project.run("train", "r.toml", "--resume", "train.max_steps=5", "train.early_stopping_patience=1",
                "train.learning_rate=1e-4").assert_ok()  # fmt: skip
    log = log_of(project)
    sessions = [(entry["step"], entry["session"]) for entry in log if "session" in entry]
    assert [step for step, _ in sessions][:2] == [0, 2]
    assert [one["resumed"] for _, one in sessions][:2] == [False, True]
    first = sessions[0][1]
    assert (first["world"], first["device"], first["epoch"]) == (1, "cpu", 0)
    assert {"pid", "host", "time", "order"} <= set(first)
    assert len(first["order"]) == 16
    assert [entry["end"] for entry in log if "end" in entry][:2] == ["finished", "finished"]


INTERRUPT = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_log(run, step, metrics):
        if "loss" in metrics and step == 1:
            run.interruption.requested = True
"""


def test_an_interrupted_session_says_so(trained: Callable[..., Project]) -> None:
    project = trained("ctc", "train.max_steps=1")
    project.write({"stop.py": INTERRUPT})
    given = ('name="other"', "train.eval_steps=2", "--plugin", "stop.py")
    project.run("train", "r.toml", *given, "train.max_steps=4").assert_code(130)
    log = [json.loads(line) for line in (project.path / "runs/other/log.jsonl").read_text().splitlines()]
    assert log[-1] == {"step": log[-1]["step"], "end": "interrupted"}


def test_another_order_is_seen(trained: Callable[..., Project], tmp_path: Path) -> None:
    orders = set()
    project = trained("ctc")
    for seed in (1, 1, 2):
        name = f"seed{seed}-{len(list((project.path / 'runs').iterdir()))}"
        project.run("train", "r.toml", f'name="{name}"', f"seed={seed}", "train.max_steps=1").assert_ok()
        log = [json.loads(line) for line in (project.path / "runs" / name / "log.jsonl").read_text().splitlines()]
        orders.add(next(entry["session"]["order"] for entry in log if "session" in entry))
    assert len(orders) == 2
