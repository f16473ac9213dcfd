"""A run's folder: what stands where, what has been written, and whether it may be used.

runs/NAME/
  recipe.toml         the fully resolved recipe; `vox train` reads it back
  lock.json           versions and the data's fingerprint
  log.jsonl           one object a step, and one an evaluation
  culprits.jsonl      utterances set aside, with the reason
  checkpoints/        step-000500/ …, each complete or absent
  best                link to the best checkpoint, relative: the folder can be moved and copied
  averaged/           the mean of several checkpoints, where the recipe asks for one
  evaluation/         scores and every utterance

Of a run in stages: `recipe.toml` with all of them, `best` of the newest, `evaluation/`, and

  stages/1-head/      the first stage, a run's folder like the above; passed.json where it is over and has passed
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.errors import TrainingError, UsageError

RECIPE, LOCK, LOG, CULPRITS = "recipe.toml", "lock.json", "log.jsonl", "culprits.jsonl"
CHECKPOINTS, BEST, EVALUATION = "checkpoints", "best", "evaluation"
STAGES, PASSED, AVERAGED = "stages", "passed.json", "averaged"
OURS = {RECIPE, LOCK, LOG, CULPRITS, CHECKPOINTS, BEST, EVALUATION, STAGES, PASSED, AVERAGED, "report.html"}
TRAINING_STATE = "training_state"
_STEP = re.compile(r"step-(\d{6,})")
_STAGE = re.compile(r"\d+-")


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_path = path / LOG
        self.culprits_path = path / CULPRITS
        self.recipe_path = path / RECIPE
        self.evaluation = path / EVALUATION

    def check(self, *, resume: bool) -> None:
        """Raise `UsageError` where the folder is taken: by checkpoints, unless `resume`, or by files of others."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file, not a folder", help="give another --run-dir, or another `name`")
        present = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if RECIPE not in present and (strangers := sorted(present - OURS)):
            raise UsageError(
                f"{self.path} holds other files and no run: {', '.join(strangers[:3])}{' …' if strangers[3:] else ''}",
                help="give another --run-dir, or another `name` in the recipe",
            )
        if not resume and (checkpoints := self.checkpoints()):
            raise UsageError(
                f"{self.path} already holds a run with {_plural(len(checkpoints), 'checkpoint')}, "
                f"the newest at step {checkpoints[-1][0]}",
                help=f"--resume continues it; --run-dir {_next_free(self.path)} or name=… begins another",
            )

    def make(self) -> None:
        """Make what is missing, and clear away what a killed process left.

        A run without a checkpoint begins anew: its log goes. Raises `TrainingError` where the disk does not let us.
        """
        try:
            for name in (CHECKPOINTS, EVALUATION):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            for leftover in (self.path / CHECKPOINTS).glob(".*"):  # of a process that was killed while it wrote
                shutil.rmtree(leftover, ignore_errors=True)
            if not self.checkpoints():
                for path in (self.log_path, self.culprits_path):
                    path.unlink(missing_ok=True)
            self.log_path.touch()
        except OSError as error:
            raise TrainingError(
                f"the run's folder {self.path} cannot be written: {error.strerror or error}",
                help="give a --run-dir on a disk that can be written",
            ) from error

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step stands."""
        return self.path / CHECKPOINTS / f"step-{step:06d}"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) of every whole checkpoint, oldest first."""
        folder = self.path / CHECKPOINTS
        found = []
        for entry in folder.iterdir() if folder.is_dir() else ():
            if (match := _STEP.fullmatch(entry.name)) and (entry / TRAINING_STATE / "state.json").is_file():
                found.append((int(match.group(1)), entry))
        return sorted(found)

    def newest(self) -> Path | None:
        """The newest whole checkpoint."""
        found = self.checkpoints()
        return found[-1][1] if found else None

    @property
    def best(self) -> Path:
        """The best checkpoint, under a name that does not change."""
        return self.path / BEST

    def best_step(self) -> int | None:
        """The step that `best` stands for."""
        match = _STEP.fullmatch(self.best.resolve().name) if self.best.is_symlink() else None
        return int(match.group(1)) if match else None

    def point_best(self, checkpoint: Path) -> None:
        """Let `best` stand for a checkpoint, without a moment in which it does not exist.

        A relative link; on a file system without links a copy of the model, without the training state.
        """
        _point(self.path, checkpoint.relative_to(self.path))
        if self.path.parent.name == STAGES:
            _point(self.path.parent.parent, Path(STAGES) / self.path.name / BEST)

    def append_log(self, entry: dict[str, Any]) -> None:
        """Add one object to log.jsonl."""
        _append(self.log_path, entry)

    def append_culprit(self, entry: dict[str, Any]) -> None:
        """Add one object to culprits.jsonl."""
        _append(self.culprits_path, entry)

    def culprits(self) -> Iterator[dict[str, Any]]:
        """The objects of culprits.jsonl."""
        yield from _read(self.culprits_path)

    def log(self) -> Iterator[dict[str, Any]]:
        """The objects of log.jsonl."""
        yield from _read(self.log_path)

    def rewind(self, step: int) -> None:
        """Drop from log.jsonl and culprits.jsonl what came after `step`: a resumed run writes it again."""
        for path in (self.log_path, self.culprits_path):
            if not path.is_file():
                continue
            kept = [entry for entry in _read(path) if entry.get("step", 0) <= step]
            beside = path.with_suffix(".partial")
            beside.write_text("".join(_line(entry) for entry in kept), encoding="utf-8")
            os.replace(beside, path)


def stage_folders(run: Path) -> list[Path]:
    """The folders of a run's stages that have begun, in their order; empty for a run without stages."""
    folder = run / STAGES
    found = [path for path in folder.iterdir() if _STAGE.match(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.name.partition("-")[0]))


def _point(folder: Path, target: Path) -> None:
    """Let `best` in a folder stand for `target`, relative to it."""
    beside, best = folder / f".{BEST}", folder / BEST
    if beside.is_symlink():
        beside.unlink()
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.symlink_to(target, target_is_directory=True)
    except (OSError, NotImplementedError):
        shutil.copytree(folder / target, beside, ignore=shutil.ignore_patterns(TRAINING_STATE))
    if best.is_dir() and not best.is_symlink():
        shutil.rmtree(best)
    os.replace(beside, best)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file; a last line that a killed process left unfinished is skipped."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def _append(path: Path, entry: dict[str, Any]) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}",
            help="make room, then continue with `vox train … --resume`",
        ) from error


def _next_free(path: Path) -> Path:
    number = 2
    while (other := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return other


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
