"""Trackio, where it is installed: its rows, read from its database, and that stdout stays free for results.

It needs an older pillow than this project's environment has, so that these tests are skipped there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

pytest.importorskip("trackio")

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = 4
    per_device_train_batch_size = 2
    eval_steps = 2
    use_cpu = true
"""


def rows(folder: Path) -> list[tuple[str, int, dict[str, Any]]]:
    with sqlite3.connect(folder / "voxcli.db") as database:
        found = database.execute("select run_id, step, metrics from metrics order by id").fetchall()
    return [(run, step, json.loads(metrics)) for run, step, metrics in found]


def test_a_run_and_its_resume_are_one(
    vox_project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = vox_project({"r.toml": RECIPE})
    project.speech("data", n=8)
    tiny_ctc(project.path / "base")
    settings = {"VOX_TRACKERS": "trackio", "TRACKIO_DIR": str(tmp_path / "trackio"), "VOX_PREDICT_MEMORY": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    first = project.spawn("train", "r.toml", "--json").assert_ok()
    assert json.loads(first.out)["steps"] == 4
    assert "trackio: trackio show --project voxcli" in first.err
    project.spawn("train", "r.toml", "train.max_steps=6", "--resume").assert_ok()

    found = rows(tmp_path / "trackio")
    assert len({run for run, _, _ in found}) == 1
    log = [json.loads(line) for line in (project.path / "runs" / "r" / "log.jsonl").read_text().splitlines()]
    assert {step: one["train/loss"] for _, step, one in found if "train/loss" in one} == {
        entry["step"]: entry["loss"] for entry in log if "loss" in entry
    }
    assert [step for _, step, one in found if "validation/wer" in one] == [2, 4, 6]
    assert [one["end"] for _, _, one in found if "end" in one] == ["finished", "finished"]
