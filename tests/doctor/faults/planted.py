"""Planted faults and healthy twins: what each file of this folder is a list of, and how one is diagnosed.

    FAULTS = [
        Fault("warm-up-of-twice-the-run", plant, "R103", fixable=True),
        Fault("silent-clip", plant_silence, "A104", utterances=("audio/train-001.wav",)),
    ]
    HEALTHY = [Healthy("warm-up-of-a-tenth", plant_healthy)]

`plant(project)` writes what it needs into the project and returns the arguments of `vox doctor`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from voxcli.recipe.render import toml
from voxcli.testing import WORDS, Project, write_speech

Plant = Callable[[Project], Sequence[str]]
Around = Callable[[Project, pytest.MonkeyPatch], None]
"""Plants what is no file of the project: variables, programs on PATH, packages, what a probe would see."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and what has to be said of it."""

    name: str
    plant: Plant
    code: str
    utterances: tuple[str, ...] = ()
    """Ids that the finding has to name; it may name others only where they have the same fault."""
    fixable: bool = False
    """Whether `--fix --yes` has to make it go away."""
    around: Around | None = None
    spawn: bool = False
    """Whether `vox doctor` runs in a process of its own."""


@dataclass(frozen=True)
class Healthy:
    """Something without a fault: no error, no warning."""

    name: str
    plant: Plant
    around: Around | None = None
    spawn: bool = False


def diagnosed(project: Project, arguments: Sequence[str], *, spawn: bool = False) -> dict[str, Any]:
    """What `vox doctor … --json` says."""
    result = (project.spawn if spawn else project.run)("doctor", *arguments, "--json")
    assert result.code in (0, 1, 2), result.err
    found: dict[str, Any] = json.loads(result.out)
    return found


def told(report: dict[str, Any], *levels: str) -> list[tuple[str, str]]:
    """(code, message) of the findings of some levels."""
    return [(one["code"], one["message"]) for one in report["findings"] if one["level"] in levels]


def assert_found(fault: Fault, project: Project) -> None:
    """The fault is found under its code, the utterances are named, and a fix takes it away."""
    with _planted(fault, project) as arguments:
        report = diagnosed(project, arguments, spawn=fault.spawn)
    found = [one for one in report["findings"] if one["code"] == fault.code]
    assert found, f"{fault.code} did not find {fault.name}; said: {told(report, 'error', 'warning', 'note')}"
    assert all(one["level"] in ("error", "warning") for one in found), f"{fault.code} only notes {fault.name}"
    named = {utterance for one in found for utterance in one["utterances"]}
    assert not fault.utterances or named == set(fault.utterances), f"{fault.code} names {sorted(named)[:10]}"
    assert all(one["help"] for one in found), f"{fault.code} proposes nothing"
    if fault.fixable:
        project.run("doctor", *arguments, "--fix", "--yes")
        after = diagnosed(project, arguments)
        assert not told(after, "error", "warning"), f"--fix leaves {told(after, 'error', 'warning')}"


def assert_healthy(healthy: Healthy, project: Project) -> None:
    """Nothing above a note."""
    with _planted(healthy, project) as arguments:
        report = diagnosed(project, arguments, spawn=healthy.spawn)
    assert not told(report, "error", "warning")


@contextlib.contextmanager
def _planted(one: Fault | Healthy, project: Project) -> Iterator[list[str]]:
    """The arguments, while everything around the project is as it was planted."""
    with pytest.MonkeyPatch.context() as patch:
        if one.around is not None:
            one.around(project, patch)
        yield list(one.plant(project))


# ------------------------------------------------------------------------------------- what the files of a group share


TEXTS = [f"{WORDS[number % 10]} {WORDS[(number * 7 + number // 10) % 10]}" for number in range(100)]
"""A hundred different texts: no split says what stands in another one."""


def model(project: Project, kind: str = "ctc", **sizes: Any) -> str:
    """A tiny checkpoint in the project, "ctc" (wav2vec 2.0) or "whisper"; made once a process, then copied."""
    made = _made(kind, tuple(sorted(sizes.items())))
    shutil.copytree(made, project.path / kind, dirs_exist_ok=True)
    return kind


@functools.cache
def _made(kind: str, sizes: tuple[tuple[str, Any], ...]) -> Path:
    from voxcli.testing_models import tiny_ctc, tiny_whisper

    folder = Path(tempfile.mkdtemp(prefix="vox-planted-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"ctc": tiny_ctc, "whisper": tiny_whisper}[kind](folder, **dict(sizes))


@functools.cache
def _corpus(settings: str) -> Path:
    """A synthetic corpus, made once a process for the same settings."""
    folder = Path(tempfile.mkdtemp(prefix="vox-planted-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_speech(folder, **json.loads(settings))


def recipe(project: Project, kind: str = "ctc", *, speech: dict[str, Any] | None = None, **sections: Any) -> list[str]:
    """A healthy recipe in `r.toml` over a synthetic corpus in `data`, with `sections` merged into it; the arguments.

    `recipe(project, train={"learning_rate": 1.0})` plants one fault. A section that is None is left out. `speech` goes
    to `write_speech`; None where the project has data of its own.
    """
    model(project, kind)
    if speech is not None or not (project.path / "data").exists():
        usual = {"n": 24, "splits": {"train": 24, "validation": 6, "test": 6}, "texts": TEXTS}
        shutil.copytree(_corpus(json.dumps({**usual, **(speech or {})})), project.path / "data", dirs_exist_ok=True)
    whole: dict[str, Any] = {
        "name": "planted",
        "data": [{"type": "manifest", "path": "data/manifest.csv"}],
        "model": {"type": kind, "checkpoint": kind, **({"language": "en"} if kind == "whisper" else {})},
        "train": {"max_steps": 100, "batch_duration": 8.0, "learning_rate": 1e-4, "use_cpu": True},
    }
    for name, value in sections.items():
        if value is None:
            whole.pop(name, None)
        elif isinstance(value, dict) and isinstance(whole.get(name), dict):
            whole[name] = {key: inner for key, inner in {**whole[name], **value}.items() if inner is not None}
        else:
            whole[name] = value
    project.write({"r.toml": toml(whole)})
    return ["r.toml"]
