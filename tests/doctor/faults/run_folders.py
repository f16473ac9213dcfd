"""Folders of runs: real ones, made once a process, and the same with another log."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from planted import recipe

from voxcli.recipe.render import toml
from voxcli.testing import Project

RUN = "runs/planted"
STEPS = 12
OLD = 10 * 24 * 3600  # s
IDS = tuple(f"audio/train-{index:03d}.wav" for index in range(24))

Entries = Iterable[Mapping[str, Any]]


def real(project: Project) -> list[str]:
    """A real run of a few steps, with its data; finished."""
    shutil.copytree(_real(), project.path, symlinks=True, dirs_exist_ok=True)
    path = project.path / RUN / "recipe.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(str(_real()), str(project.path)), encoding="utf-8")
    return [RUN]


def run(
    project: Project,
    entries: Entries,
    *,
    sessions: bool = True,
    end: str | None = "finished",
    saved: int | None = None,
    **tables: Any,
) -> list[str]:
    """The same folder with another log; `tables` are merged into its recipe. Its checkpoint is of the step `saved`, or
    of the last one.
    """
    real(project)
    folder = project.path / RUN
    log = [dict(entry) for entry in entries]
    last = max((entry["step"] for entry in log if "step" in entry), default=0)
    _edit_recipe(folder / "recipe.toml", {"train": {"max_steps": last}, **tables})
    for old in sorted((folder / "checkpoints").iterdir())[:-1]:
        shutil.rmtree(old)
    newest = next((folder / "checkpoints").iterdir())
    (folder / "best").unlink()
    target = newest.with_name(f"step-{last if saved is None else saved:06d}")
    if target != newest:
        newest.rename(target)
    (folder / "best").symlink_to(Path("checkpoints") / target.name)
    state = json.loads((target / "training_state/state.json").read_text())
    at = int(target.name.removeprefix("step-"))
    state |= {"step": at, "best_step": at, "stopped_early": False}
    (target / "training_state/state.json").write_text(json.dumps(state))
    first = [session(0)] if sessions else []
    ends = [{"step": last, "end": end}] if end and sessions else []
    write(folder / "log.jsonl", [*first, *log, *ends])
    return [RUN]


def session(step: int, **facts: Any) -> dict[str, Any]:
    """The beginning of a session in a process that is gone."""
    import socket

    table = {"resumed": step > 0, "world": 1, "device": "cpu", "pid": _gone(), "host": socket.gethostname()}
    begun = {"time": "2026-01-01T00:00:00+00:00", "epoch": 0, "order": "805852ba5831fcb1"}
    return {"step": step, "session": {**table, **begun, **facts}}


def steps(loss: Sequence[float] | np.ndarray, **columns: Any) -> list[dict[str, Any]]:
    """Entries of steps, one for each loss, with what a run logs beside it."""
    n = len(loss)
    rng = np.random.default_rng(0)
    every = {
        "epoch": np.arange(1, n + 1) / 100,
        "loss": loss,
        "grad_norm": 2.0 * np.exp(0.2 * rng.normal(size=n)),
        "learning_rate": np.concatenate([np.linspace(0, 1e-4, max(1, n // 10)), np.full(n - max(1, n // 10), 1e-4)]),
        "seconds": 0.5 * np.exp(0.1 * rng.normal(size=n)),
        "data_seconds": np.full(n, 0.01),
        "audio_seconds": np.full(n, 16.0),
        "padding": np.full(n, 0.1),
        "peak_bytes": np.full(n, 2**30),
        **columns,
    }
    return [
        {"step": at + 1, **{name: round(float(column[at]), 6) for name, column in every.items()}} for at in range(n)
    ]


def falling(n: int, start: float = 3.0, end: float = 0.3, *, noise: float = 0.1) -> np.ndarray:
    """A loss that comes down as it should, shape (n,)."""
    course = end + (start - end) * np.exp(-5 * np.arange(n) / n)
    found: np.ndarray = course * np.exp(noise * np.random.default_rng(1).normal(size=n))
    return found


def validation(step: int, wer: float, loss: float = 1.0, *, best: bool = True, **more: Any) -> dict[str, Any]:
    """An evaluation's entry."""
    scores = {"wer": wer, "cer": 1.0 if wer == 1.0 else 0.5 * wer, "loss": loss}
    return {"step": step, "validation": scores, "best": best, "seconds": 5.0, **more}


def ordered(*entries: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Entries of all kinds by their step."""
    return sorted(entries, key=lambda entry: entry["step"])


def write(path: Path, entries: Entries) -> None:
    """A log, last written to days ago."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    before = time.time() - OLD
    os.utime(path, (before, before))


def trainer(project: Project, history: Entries, **state: Any) -> list[str]:
    """A folder as the transformers Trainer leaves it, with the log of one."""
    folder = project.path / "trained"
    log = [dict(entry) for entry in history]
    last = max(entry["step"] for entry in log)
    architecture, config = state.pop("architecture", None), state.pop("config", {})
    card = state.pop("card", None)
    done = {"best_global_step": None, "best_metric": None, "best_model_checkpoint": None, "epoch": last / 100}
    done |= {
        "global_step": last,
        "max_steps": last,
        "logging_steps": 10,
        "train_batch_size": 8,
        "stateful_callbacks": {},
    }
    done |= {"log_history": log, **state}
    text = json.dumps(done, indent=2, sort_keys=True) + "\n"
    project.write({"trained/trainer_state.json": text})
    if architecture is not None:
        told = {"architectures": [architecture], "vocab_size": 32, "model_type": "wav2vec2", **config}
        (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    if card is not None:
        lines = "".join(f"- {key}: {value}\n" for key, value in card.items())
        head = "---\ntags:\n- generated_from_trainer\n---\n\n### Training hyperparameters\n\n"
        (folder / "README.md").write_text(f"{head}The following hyperparameters were used during training:\n{lines}")
    before = time.time() - OLD
    os.utime(folder / "trainer_state.json", (before, before))
    return ["trained"]


def logs(loss: Sequence[float] | np.ndarray, *, every: int = 10, **columns: Any) -> list[dict[str, Any]]:
    """What the Trainer logs of steps, every `every` steps."""
    n = len(loss)
    rng = np.random.default_rng(0)
    whole = {
        "loss": loss,
        "grad_norm": 2.0 * np.exp(0.2 * rng.normal(size=n)),
        "learning_rate": np.linspace(5e-5, 0, n),
        "epoch": np.arange(1, n + 1) * every / 100,
        **columns,
    }
    return [{"step": (at + 1) * every, **{name: float(one[at]) for name, one in whole.items()}} for at in range(n)]


def evaluated(step: int, **scores: float) -> dict[str, Any]:
    """What the Trainer logs of an evaluation."""
    times = {"eval_runtime": 10.0, "eval_samples_per_second": 10.0, "eval_steps_per_second": 2.0}
    return {"step": step, "epoch": step / 100, **times, **{f"eval_{name}": value for name, value in scores.items()}}


@functools.cache
def _real() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vox-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = Project(folder)
    before = os.environ.get("VOX_PREDICT_MEMORY")
    os.environ["VOX_PREDICT_MEMORY"] = "0"
    try:
        recipe(project, train={"max_steps": STEPS, "eval_steps": 4, "save_steps": 4})
        project.run("train", "r.toml").assert_ok()
    finally:
        os.environ.pop("VOX_PREDICT_MEMORY") if before is None else os.environ.update(VOX_PREDICT_MEMORY=before)
    return folder


def _edit_recipe(path: Path, changes: Mapping[str, Any]) -> None:
    import tomllib

    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        tables[name] = {**tables.get(name, {}), **value} if isinstance(value, dict) else value
    path.write_text(toml(tables), encoding="utf-8")


@functools.cache
def _gone() -> int:
    """The number of a process that has ended."""
    import subprocess
    import sys

    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
