"""`vox train --nproc 2`: the processes are started, shown as one, stopped by Ctrl-C, and gone on with."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping

import pytest
from forked import popen

from voxcli.errors import UsageError
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc
from voxcli.train.torchrun import Processes

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "model"

    [train]
    max_steps = 100000
    per_device_train_batch_size = 1
    logging_steps = 1
    use_cpu = true
"""


@pytest.fixture
def project(vox_project: Callable[[Mapping[str, str]], Project]) -> Project:
    made = vox_project({"r.toml": RECIPE})
    made.speech("data", n=6)
    tiny_ctc(made.path / "model")
    return made


def test_two_processes_end_after_ctrl_c_with_a_checkpoint(project: Project) -> None:
    running = popen(project, "train", "r.toml", "--nproc", "2")
    log = project.path / "runs/r/log.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and running.poll() is None:
        if log.exists() and '"loss"' in log.read_text():
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.poll() == 130, err
    assert err.count("interrupted; step-") == 1, err
    assert "vox train r.toml --nproc 2 --resume" in err
    assert "Traceback" not in err
    (session,) = (one["session"] for one in map(json.loads, log.read_text().splitlines()) if "session" in one)
    assert session["world"] == 2
    assert any((project.path / "runs/r/checkpoints").iterdir())
    again = project.run("train", "r.toml", "--nproc", "2")
    assert again.code == 2
    assert "--resume continues it" in again.err


def test_what_cannot_be_started(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="2 machines need a place to meet"):
        Processes(1, nnodes=2)
    monkeypatch.setenv("RANK", "0")
    refused = project.run("train", "r.toml", "--nproc", "2")
    assert refused.code == 2
    assert "one of several processes already" in refused.err
