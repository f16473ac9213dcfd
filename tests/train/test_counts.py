"""What a run costs, counted: files decoded, features computed, steps taken, bytes written. No clock is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from voxcli.api import Bundle, Utterance
from voxcli.data import preparation, remembered
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


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each utterance is read from its file."""
    counts: Counter[str] = Counter()
    read = preparation.read_utterance

    def reading(utterance: Utterance, *args: Any, **options: Any) -> np.ndarray:
        counts[utterance.id] += 1
        return read(utterance, *args, **options)

    monkeypatch.setattr(preparation, "read_utterance", reading)
    return counts


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each utterance becomes features."""
    counts: Counter[str] = Counter()
    features = CTCTask.features

    def computing(task: CTCTask, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        if utterance.id.startswith("audio/"):
            counts[utterance.id] += 1
        return features(task, utterance, audio, bundle)

    monkeypatch.setattr(CTCTask, "features", computing)
    return counts


def test_a_run_reads_each_file_once(project: Project, decoded: Counter[str], computed: Counter[str]) -> None:
    """Five clips in batches of two are three steps an epoch; nothing is read ahead that nobody takes, nor again."""
    project.run("train", "r.toml").assert_ok()
    assert len(decoded) == 5
    assert set(decoded.values()) == {1}
    assert computed == decoded
    log = [json.loads(line) for line in (project.path / "runs/r/log.jsonl").read_text().splitlines()]
    steps = [one for one in log if "loss" in one]
    assert len(steps) == 9
    assert steps[-1]["epoch"] == 3.0


def test_what_is_augmented_anew_is_decoded_once(
    project: Project, decoded: Counter[str], computed: Counter[str]
) -> None:
    recipe = (project.path / "r.toml").read_text() + '\n[[augment]]\ntype = "gain"\n'
    (project.path / "r.toml").write_text(recipe)
    project.run("train", "r.toml").assert_ok()
    assert set(decoded.values()) == {1}
    assert set(computed.values()) == {3}


@pytest.mark.parametrize("augment", ["", '\n[[augment]]\ntype = "gain"\n\n[[augment]]\ntype = "speed"\n'])
def test_without_room_every_epoch_reads_for_itself(
    project: Project, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    """The losses are the same: what is kept is what would be read, and no augmentation changes it."""
    (project.path / "r.toml").write_text((project.path / "r.toml").read_text() + augment)
    project.run("train", "r.toml").assert_ok()
    with monkeypatch.context() as patched:
        patched.setattr(remembered, "MOST_BYTES", 0)
        project.run("train", "r.toml", "--run-dir", "runs/without").assert_ok()
    assert set(decoded.values()) == {1 + 3}

    def losses(run: str) -> list[float]:
        log = [json.loads(line) for line in (project.path / run / "log.jsonl").read_text().splitlines()]
        return [one["loss"] for one in log if "loss" in one]

    assert losses("runs/r") == losses("runs/without")


def test_a_run_writes_no_features(project: Project) -> None:
    """Beside the checkpoint a run leaves its log, its recipe and its lock."""
    project.run("train", "r.toml").assert_ok()
    run = project.path / "runs/r"
    beside = [path for path in run.rglob("*") if path.is_file() and "checkpoints" not in path.resolve().parts]
    assert {path.suffix for path in beside} <= {".toml", ".json", ".jsonl"}
    assert sum(path.stat().st_size for path in beside) < 40_000
