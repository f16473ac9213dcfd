"""What is left of a run on disk -> columns that checks look at; of voxcli or of the transformers Trainer."""

from __future__ import annotations

import json
import math
import time
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxcli.doctor.run import entries, process, run_log, saved
from voxcli.doctor.run.entries import Entry
from voxcli.doctor.run.run_log import Damage, Evaluation, Floats
from voxcli.doctor.run.saved import Saved
from voxcli.train.folder import CHECKPOINTS, CULPRITS, LOCK, LOG, RECIPE, TRAINING_STATE

Status = Literal["finished", "stopped early", "interrupted", "error", "crashed", "running", "empty"]
TASKS = {
    "ForCTC": "ctc",
    "ForConditionalGeneration": "seq2seq",
    "SpeechEncoderDecoderModel": "seq2seq",
    "Classification": "classification",
    "ForPreTraining": "pretraining",
}
"""End of an architecture's name in config.json -> what it was trained for."""
MODELS = {"ctc": "ctc", "whisper": "seq2seq"}
"""`[model] type` -> the same."""


@dataclass
class Record:
    """One run."""

    path: Path
    trainer: bool = False
    """Whether the transformers Trainer wrote it."""
    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Optimizer steps that were logged, rising; shape (steps,)."""
    figures: dict[str, Floats] = field(default_factory=dict)
    """Name -> what was logged of each step, shape (steps,)."""
    marks: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    """What is special about a step: `run_log.LOST`, `LOSS`, `NORM`; shape (steps,)."""
    jumps: list[tuple[int, int]] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    incidents: list[Entry] = field(default_factory=list)
    memory: list[Entry] = field(default_factory=list)
    sessions: list[Entry] = field(default_factory=list)
    ends: list[Entry] = field(default_factory=list)
    culprits: list[Entry] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    """The recipe that the run recorded; of a Trainer's folder what its model card says under [train]."""
    lock: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    """training_state/state.json of the newest checkpoint, or trainer_state.json without its log."""
    config: dict[str, Any] = field(default_factory=dict)
    """config.json of the model, where there is one."""
    results: dict[str, float] = field(default_factory=dict)
    """Scores of a final evaluation, of a Trainer's folder."""
    checkpoints: list[Saved] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    cut: bool = False
    ended: bool = False
    log_path: Path = Path()
    modified: float = 0.0
    """When the log was last written to, seconds since 1970."""

    def column(self, name: str) -> Floats:
        """A figure of every step; all NaN where it was not logged."""
        found = self.figures.get(name)
        return np.full(len(self.steps), np.nan) if found is None else found

    @cached_property
    def train(self) -> dict[str, Any]:
        """`[train]` of the recipe; figures are figures."""
        return entries.train(self.tables.get("train"))

    @property
    def evaluate(self) -> dict[str, Any]:
        """`[evaluate]` of the recipe."""
        found = self.tables.get("evaluate")
        return found if isinstance(found, dict) else {}

    def utterances(self, split: str) -> int | None:
        """How many a split had, by lock.json."""
        return entries.step_of(self._locked(split).get("utterances"))

    def duration(self, split: str) -> float | None:
        """Of a split, by lock.json, s."""
        return entries.number(self._locked(split).get("duration"))

    def _locked(self, split: str) -> dict[str, Any]:
        data = self.lock.get("data")
        known = data.get(split) if isinstance(data, dict) else None
        return known if isinstance(known, dict) else {}

    def key(self, name: str) -> str:
        """A key of [train] as a change is written: as an override, or as an argument of the Trainer."""
        return name if self.trainer else f"train.{name}"

    def lower_rate(self) -> str:
        """A third of the run's learning rate, as a change."""
        rate = self.train.get("learning_rate")
        if not isinstance(rate, int | float):
            return "a third of the learning rate"
        return f"{self.key('learning_rate')}={rate / 3:.1g}"

    @property
    def last_step(self) -> int:
        """The newest step that anything was logged of."""
        seen = [0, *(int(step) for step in self.steps[-1:]), *(one.step for one in self.evaluations[-1:])]
        reached = entries.step_of(self.state.get("global_step"))  # the Trainer does not log every step
        return max(*seen, reached or 0)

    @cached_property
    def total_steps(self) -> int | None:
        """How long the run was meant to be, as far as that is known."""
        for value in (self.state.get("max_steps"), self.train.get("max_steps")):  # the Trainer's state, or a recipe
            if steps := entries.step_of(value):
                return steps
        epochs, at = self.train.get("num_train_epochs"), self.column("epoch")
        if epochs and len(at) and 0 < at[-1] < math.inf:
            return math.ceil(float(epochs) * self.steps[-1] / at[-1] - 0.01)
        return None

    @cached_property
    def task(self) -> str | None:
        """ "ctc", "seq2seq", "classification", "pretraining" or None where nothing says it."""
        model = self.tables.get("model")
        kind = str(model.get("type")) if isinstance(model, dict) else ""
        if kind in MODELS:
            return MODELS[kind]
        names = self.config.get("architectures")
        for name in names if isinstance(names, list) else ():
            for end, task in TASKS.items():
                if str(name).endswith(end):
                    return task
        return None

    @cached_property
    def n_outputs(self) -> int | None:
        """Classes, or tokens of the vocabulary."""
        if self.task == "classification":
            labels = self.config.get("id2label")
            return len(labels) if isinstance(labels, dict) else None
        size = self.config.get("vocab_size")
        return size if isinstance(size, int) and 1 < size < entries.MOST_STEPS else None

    @property
    def metric(self) -> str | None:
        """The metric that picked the best checkpoint."""
        known = {name for one in self.evaluations for name in one.scores}
        chosen = self.evaluate.get("metrics")
        chosen = chosen if isinstance(chosen, list) else []
        return next((name for name in (*map(str, chosen), "wer", "cer", "accuracy", "loss") if name in known), None)

    def score(self, name: str) -> tuple[NDArray[np.int64], Floats]:
        """(steps, values) of a metric at the evaluations that have it."""
        pairs = [(one.step, one.scores[name]) for one in self.evaluations if name in one.scores]
        return np.array([step for step, _ in pairs], dtype=np.int64), np.array([v for _, v in pairs], dtype=float)

    @cached_property
    def status(self) -> Status:
        """How the run came to its end, or that it goes on."""
        if not len(self.steps) and not self.sessions and not self.ends and not self.incidents:
            return "empty"
        if self.ended:
            word = str(self.ends[-1]["end"])
            return word if word in ("finished", "stopped early", "interrupted", "error") else "error"  # type: ignore[return-value]
        if self.state.get("stopped_early") is True and (entries.step_of(self.state.get("step")) or 0) >= self.last_step:
            return "stopped early"
        if self.total_steps is not None and self.last_step >= self.total_steps:
            return "finished"
        if self.trainer:
            return self._of_trainer()
        session = self.sessions[-1]["session"] if self.sessions else {}
        if not self.sessions and any(one.step == self.last_step for one in self.checkpoints):
            return "interrupted"  # by Ctrl-C, before logs said so: the last thing that was done is a checkpoint
        alive = process.alive(session.get("pid"), session.get("host"), session.get("time"))
        if alive is not None:
            return "running" if alive else "crashed"
        return "running" if time.time() - self.modified < self._patience() else "crashed"

    @property
    def over(self) -> bool:
        """Whether the run took all the steps that it was to take."""
        return self.status in ("finished", "stopped early")

    def _of_trainer(self) -> Status:
        if "train_runtime" in self.state:
            return "finished" if self.total_steps is None else "stopped early"
        return "running" if time.time() - self.modified < self._patience() else "crashed"

    def _patience(self) -> float:
        """How long a log may be silent while its process lives, s."""
        seconds = self.column("seconds")
        usual = float(np.nanmedian(seconds)) if np.isfinite(seconds).any() else 0.0
        longest = max((one.seconds for one in self.evaluations), default=0.0)
        return max(900.0, 50 * usual, 5 * longest)


def of_run(folder: Path) -> Record:
    """A run's folder."""
    log = run_log.read(folder / LOG)
    steps, figures, marks = log.columns.arrays()
    damage = log.damage
    record = Record(
        folder,
        steps=steps,
        figures=figures,
        marks=marks,
        jumps=log.columns.jumps,
        evaluations=log.evaluations,
        incidents=log.incidents,
        memory=log.memory,
        sessions=log.sessions,
        ends=log.ends,
        culprits=[entries.culprit(one) for one in run_log.objects(folder / CULPRITS, damage)],
        checkpoints=saved.of_run(folder),
        damage=damage,
        cut=log.cut,
        ended=log.ended,
        log_path=folder / LOG,
        modified=_modified(folder / LOG),
    )
    record.tables = _toml(folder / RECIPE, damage)
    record.lock = json_table(folder / LOCK, damage)
    states = sorted((folder / CHECKPOINTS).glob(f"step-*/{TRAINING_STATE}/state.json"))
    record.state = json_table(states[-1], damage) if states else {}
    model = record.tables.get("model")
    bases = [one.path for one in reversed(record.checkpoints)]
    if isinstance(model, dict) and model.get("checkpoint"):
        bases.append(Path(str(model["checkpoint"])))
    record.config = first_config(bases)
    return record


def of_trainer(folder: Path) -> Record:
    """A folder that the transformers Trainer wrote."""
    from voxcli.doctor.run.trainer_log import read

    return read(folder)


def first_config(folders: list[Path]) -> dict[str, Any]:
    """config.json of the first folder that has one; empty where none has."""
    for folder in folders:
        if (folder / "config.json").is_file() and (found := json_table(folder / "config.json", [])):
            return found
    return {}


def json_table(path: Path, damage: list[Damage]) -> dict[str, Any]:
    """A JSON object in a file; empty where there is none, and with a line in `damage` where it cannot be read."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        damage.append(Damage(path, 0, f"no JSON ({error})" if isinstance(error, ValueError) else str(error)))
        return {}
    if not isinstance(found, dict):
        damage.append(Damage(path, 0, "no JSON object"))
        return {}
    return found


def _toml(path: Path, damage: list[Damage]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        damage.append(Damage(path, 0, f"no TOML ({error})"))
        return {}


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
