"""Checkpoints are whole or absent, whatever happens to the disk."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from voxcli.errors import TrainingError
from voxcli.train import checkpoint
from voxcli.train.folder import RunFolder
from voxcli.train.state import State

MEGABYTE = 2**20


def write_weights(megabytes: float, value: float = 1.0):
    def write(folder: Path) -> None:
        save_file({"w": torch.full((int(megabytes * MEGABYTE / 4),), value)}, folder / "model.safetensors")

    return write


def save(target: Path, megabytes: float = 0.01, value: float = 1.0, step: int = 1) -> Path:
    training = {"optimizer": {"state": {0: {"m": torch.full((10,), value)}}}}
    return checkpoint.save(
        target, write_model=write_weights(megabytes, value), training=training, state=State(step=step), needed=MEGABYTE
    )


def test_it_holds_model_state_and_training_state(tmp_path: Path) -> None:
    target = save(tmp_path / "step-000001", value=2.0, step=7)
    assert sorted(os.listdir(tmp_path)) == ["step-000001"]
    assert load_file(target / "model.safetensors")["w"][0] == 2.0
    assert checkpoint.read_state(target) == State(step=7)
    assert torch.equal(checkpoint.read_training(target)["optimizer"]["state"][0]["m"], torch.full((10,), 2.0))
    suffixes = {path.suffix for path in target.rglob("*") if path.is_file()}
    assert suffixes == {".safetensors", ".json"}, "no pickles"


def test_writing_it_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path / "step-000001", value=1.0)
    save(tmp_path / "step-000001", value=5.0)
    assert load_file(tmp_path / "step-000001" / "model.safetensors")["w"][0] == 5.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "vox-test", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_the_checkpoint_before_whole(small_disk: Path) -> None:
    before = save(small_disk / "step-000001", megabytes=2, value=3.0)
    with pytest.raises(TrainingError, match="step-000002 could not be written: the disk is full") as caught:
        save(small_disk / "step-000002", megabytes=2)
    assert "a checkpoint takes about 1.0 MiB and 1.0 MiB are free" in str(caught.value.help)
    assert "continue with --resume" in str(caught.value.help)
    assert os.listdir(small_disk) == ["step-000001"], "the unfinished one is gone"
    assert float(load_file(before / "model.safetensors")["w"].sum()) == 3.0 * 2 * MEGABYTE / 4
    assert checkpoint.read_state(before) == State(step=1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_while_training_state_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = save(tmp_path / "step-000001")

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="the disk is full"):
        save(tmp_path / "step-000002")
    assert os.listdir(tmp_path) == ["step-000001"]
    assert checkpoint.read_state(before) == State(step=1)


def test_a_read_only_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(TrainingError, match="could not be written: Not a directory"):
        save(tmp_path / "checkpoints" / "step-000001")


def test_other_errors_keep_their_traceback(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        checkpoint.save(tmp_path / "step-000001", write_model=broken, training={}, state=State())
    assert os.listdir(tmp_path) == []


def test_rotation_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.make()
    for step in (1, 2, 3, 4, 5):
        save(folder.checkpoint(step), step=step)
        if step == 2:
            folder.point_best(folder.checkpoint(step))
        checkpoint.rotate(folder, keep=2)
    assert [step for step, _ in folder.checkpoints()] == [2, 4, 5]
