"""A run's folder: who may use it, what is in it, and what a killed process leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from voxcli.errors import TrainingError, UsageError
from voxcli.train.folder import RunFolder
from voxcli.train.state import State


def checkpoint(folder: RunFolder, step: int) -> Path:
    path = folder.checkpoint(step)
    (path / "training_state").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights %d" % step)
    State(step=step).write(path / "training_state" / "state.json")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "runs" / "r")
    made.check(resume=False)
    made.make()
    made.recipe_path.write_text("name = 'r'\n")
    return made


def test_a_run_with_a_checkpoint_is_not_overwritten(folder: RunFolder) -> None:
    checkpoint(folder, 5)
    with pytest.raises(UsageError, match="already holds a run with 1 checkpoint, the newest at step 5") as caught:
        folder.check(resume=False)
    assert "--resume continues it" in str(caught.value.help)
    assert f"--run-dir {folder.path}-2" in str(caught.value.help)
    folder.check(resume=True)


def test_a_run_that_never_saved_begins_anew(folder: RunFolder) -> None:
    folder.append_log({"step": 1, "loss": 3.0})
    folder.check(resume=False)
    folder.make()
    assert list(folder.log()) == []


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"other files and no run: thesis\.tex"):
        RunFolder(tmp_path).check(resume=True)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        RunFolder(tmp_path / "r").check(resume=False)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written: Not a directory"):
        RunFolder(tmp_path / "file" / "r").make()


def test_only_whole_checkpoints_count(folder: RunFolder) -> None:
    checkpoint(folder, 5)
    (folder.path / "checkpoints" / "step-000009").mkdir()
    partial = folder.path / "checkpoints" / ".step-000010.partial"
    partial.mkdir()
    assert [step for step, _ in folder.checkpoints()] == [5]
    folder.make()
    assert not partial.exists()


def test_best_follows_and_survives_moving_and_copying(folder: RunFolder, tmp_path: Path) -> None:
    for step in (5, 10):
        folder.point_best(checkpoint(folder, step))
        assert folder.best_step() == step
    moved = tmp_path / "elsewhere"
    shutil.move(folder.path, moved)
    shutil.copytree(moved, tmp_path / "copy", symlinks=True)
    shutil.copytree(moved, tmp_path / "followed", symlinks=False)
    for place in (moved, tmp_path / "copy", tmp_path / "followed"):
        assert (place / "best" / "model.safetensors").read_bytes() == b"weights 10"


def test_best_is_a_copy_where_there_are_no_links(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for step in (5, 10):
        folder.point_best(checkpoint(folder, step))
    assert (folder.best / "model.safetensors").read_bytes() == b"weights 10"
    assert not (folder.best / "training_state").exists()


def test_a_resumed_run_writes_its_log_on_from_the_checkpoint(folder: RunFolder) -> None:
    for step in range(1, 6):
        folder.append_log({"step": step})
    with folder.log_path.open("a") as file:
        file.write('{"step": 6, "lo')  # the process was killed here
    folder.rewind(3)
    folder.append_log({"step": 4})
    assert [entry["step"] for entry in folder.log()] == [1, 2, 3, 4]
