"""log.jsonl of a run -> columns of its steps, and everything else it says, in order.

The file is read line by line: 500,000 steps take seconds and a few bytes a figure. Half lines, lines that are no JSON
and entries without a step are counted, never fatal: the log of a killed process is what a diagnosis is wanted for.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxcli.doctor.run.entries import Entry, step_of, tidy

Floats = NDArray[np.float64]

KINDS = ("validation", "memory", "incident", "session", "end")
STEP_KEYS = ("loss", "grad_norm", "learning_rate")  # one of them makes an entry that of a step
LOST, LOSS, NORM = 1, 2, 4
"""Marks of a step: it had lost all its utterances; its loss, its gradient's norm was logged and is not finite."""
WORDS = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


@dataclass(frozen=True)
class Damage:
    """Something in a file that could not be read."""

    path: Path
    line: int
    """Counted from 1; 0 for the file as a whole."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: {self.reason}" if self.line else f"{self.path.name}: {self.reason}"


@dataclass(frozen=True)
class Evaluation:
    """One evaluation during training."""

    step: int
    scores: dict[str, float]
    """Metric -> value, "loss" among them; rates as shares, 0.25 for 25 %."""
    texts: dict[str, float] = field(default_factory=dict)
    """Shares of the texts that the model wrote: "empty", "blank", "repeating", "at_limit", "length_ratio"."""
    best: bool = False
    seconds: float = 0.0


class Columns:
    """Figures of steps, by name; shape (steps,), NaN where an entry lacks one."""

    def __init__(self) -> None:
        self._steps = array("q")
        self._figures: dict[str, array[float]] = {}
        self._marks = array("b")

    def add(self, step: int, entry: Entry) -> None:
        """One step's entry."""
        count = len(self._steps)
        self._steps.append(step)
        lost = LOST if "loss" in entry and entry["loss"] is None else 0
        self._marks.append(lost | LOSS * _bad(entry.get("loss")) | NORM * _bad(entry.get("grad_norm")))
        figures = self._figures
        for key, value in entry.items():
            if type(value) is not float and (key == "step" or (value := number(value)) is None):
                continue
            column = figures.get(key)
            if column is None:
                column = figures[key] = array("d")
            if len(column) < count:
                column.extend([math.nan] * (count - len(column)))
            if len(column) == count:
                column.append(value)

    def arrays(self) -> tuple[NDArray[np.int64], dict[str, Floats], NDArray[np.int8]]:
        """(steps, figures by name, marks: `LOST`, `LOSS`, `NORM`), each step once and in order.

        Of a step that was taken twice, the second counts.
        """
        steps = np.array(self._steps, dtype=np.int64)
        count = len(steps)
        figures = {}
        for key, column in self._figures.items():
            figures[key] = np.full(count, np.nan)
            figures[key][: len(column)] = column
        marks = np.array(self._marks, dtype=np.int8)
        if count and (np.diff(steps) <= 0).any():
            kept = count - 1 - np.unique(steps[::-1], return_index=True)[1]
            steps, marks = steps[kept], marks[kept]
            figures = {key: column[kept] for key, column in figures.items()}
        return steps, figures, marks

    @property
    def jumps(self) -> list[tuple[int, int]]:
        """(step, the step after it) wherever the log goes back."""
        steps = np.array(self._steps, dtype=np.int64)
        back = np.flatnonzero(np.diff(steps) <= 0)
        return [(int(steps[at]), int(steps[at + 1])) for at in back]


@dataclass
class RunLog:
    """What a log says."""

    columns: Columns = field(default_factory=Columns)
    evaluations: list[Evaluation] = field(default_factory=list)
    memory: list[Entry] = field(default_factory=list)
    incidents: list[Entry] = field(default_factory=list)
    sessions: list[Entry] = field(default_factory=list)
    ends: list[Entry] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    lines: int = 0
    cut: bool = False
    """Whether the last line is half a line: the process was killed while it wrote, or still writes."""
    ended: bool = False
    """Whether nothing was logged after the newest "end"."""

    def add(self, entry: Entry) -> str | None:
        """Take one entry; what is wrong with it."""
        step = step_of(entry.get("step"))
        if step is None:
            return f"its step is {json.dumps(entry.get('step'))[:40]}, expected a number"
        if any(key in entry for key in STEP_KEYS) and not any(key in entry for key in KINDS):
            self.ended = False
            self.columns.add(step, entry)
        elif isinstance(scores := entry.get("validation"), dict):
            self.evaluations.append(
                Evaluation(
                    step,
                    numbers(scores),
                    numbers(entry.get("texts")),
                    entry.get("best") is True,
                    number(entry.get("seconds")) or 0.0,
                )
            )
        else:
            self._add_other(tidy(entry))
        return None

    def _add_other(self, entry: Entry) -> None:
        for kind, found in (
            ("memory", self.memory),
            ("incident", self.incidents),
            ("session", self.sessions),
            ("end", self.ends),
        ):
            if kind in entry:
                found.append(entry)
        if "session" in entry:
            self.ended = False
        elif "end" in entry:
            self.ended = True


def read(path: Path) -> RunLog:
    """A log.jsonl; an empty log where there is none."""
    log = RunLog()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return log
    except OSError as error:
        log.damage.append(Damage(path, 0, str(error.strerror or error)))
        return log
    line = b"\n"
    with file:
        for index, line in enumerate(file, 1):
            if not line.strip():
                continue
            log.lines += 1
            try:
                entry = json.loads(line)
            except ValueError:
                log.damage.append(Damage(path, index, "no JSON"))
                continue
            problem = log.add(entry) if isinstance(entry, dict) else "no JSON object"
            if problem is not None:
                log.damage.append(Damage(path, index, problem))
    if not line.endswith(b"\n") and log.damage and log.damage[-1].line == index:
        log.cut = True
        log.damage.pop()
    return log


def objects(path: Path, damage: list[Damage]) -> list[Entry]:
    """The objects of another JSONL file; what cannot be read is added to `damage`."""
    found: list[Entry] = []
    try:
        lines: Iterable[bytes] = path.read_bytes().splitlines() if path.is_file() else ()
    except OSError as error:
        damage.append(Damage(path, 0, str(error.strerror or error)))
        return found
    for index, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict):
            found.append(entry)
        else:
            damage.append(Damage(path, index, "no JSON object"))
    return found


def number(value: object) -> float | None:
    """A figure of a log as a float; None for what is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if value is None:
        return math.nan
    return WORDS.get(value.lower()) if isinstance(value, str) else None


def _bad(value: object) -> bool:
    """Whether a figure was logged and is not finite."""
    if type(value) is float:
        return not math.isfinite(value)
    return isinstance(value, str) and value.lower() in WORDS


def numbers(table: object) -> dict[str, float]:
    """The figures of a table."""
    if not isinstance(table, dict):
        return {}
    return {str(key): found for key, value in table.items() if (found := number(value)) is not None}
