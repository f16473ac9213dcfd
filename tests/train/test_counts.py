"""What a run costs, counted: files decoded, features computed, steps taken, bytes written. No clock is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from voxcli.api import Bundle, Utterance
from voxcli.data import preparation
from voxcli.tasks.ctc import CTCTask
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "model"

    [train]
    num_train_epochs = 3.0
    per_device_train_batch_size = 2
    use_cpu = true
"""


@pytest.fixture
def project(vox_project: Callable[[Mapping[str, str]], Project]) -> Project:
    made = vox_project({"r.toml": RECIPE})
    made.speech("data", splits={"train": 5})
    tiny_ctc(made.path / "model")
    return made


def test_a_run_reads_each_file_once_an_epoch(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five clips in batches of two are three steps an epoch; nothing is read ahead that nobody takes."""
    decoded: Counter[str] = Counter()
    computed: Counter[str] = Counter()
    read, features = preparation.read_utterance, CTCTask.features

    def reading(utterance: Utterance, *args: Any, **options: Any) -> np.ndarray:
        decoded[utterance.id] += 1
        return read(utterance, *args, **options)

    def computing(task: CTCTask, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        if utterance.id.startswith("audio/"):
            computed[utterance.id] += 1
        return features(task, utterance, audio, bundle)

    monkeypatch.setattr(preparation, "read_utterance", reading)
    monkeypatch.setattr(CTCTask, "features", computing)
    project.run("train", "r.toml").assert_ok()
    assert len(decoded) == 5
    assert set(decoded.values()) == {3}
    assert computed == decoded
    log = [json.loads(line) for line in (project.path / "runs/r/log.jsonl").read_text().splitlines()]
    steps = [one for one in log if "loss" in one]
    assert len(steps) == 9
    assert steps[-1]["epoch"] == 3.0


def test_a_run_writes_no_features(project: Project) -> None:
    """Beside the checkpoint a run leaves its log, its recipe and its lock."""
    project.run("train", "r.toml").assert_ok()
    run = project.path / "runs/r"
    beside = [path for path in run.rglob("*") if path.is_file() and "checkpoints" not in path.resolve().parts]
    assert {path.suffix for path in beside} <= {".toml", ".json", ".jsonl"}
    assert sum(path.stat().st_size for path in beside) < 40_000
