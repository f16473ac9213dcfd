"""Real speech for planted faults of audio: some of the shipped prompts, as files that a test may spoil."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from voxcli.sample import SPEECH
from voxcli.testing import Project

RATE = 16_000
COUNTS = {"train": 18, "validation": 6, "test": 6}

Samples = np.ndarray


@functools.cache
def prompts() -> list[tuple[str, Samples, str]]:
    """(name, samples, text) of thirty prompts of 1.5 to 4 s, no two with the same text."""
    found: list[tuple[str, Samples, str]] = []
    with (SPEECH / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["path"].endswith(".opus"):  # written digits, half-sentences
                continue
            if 1.5 <= float(row["duration"]) <= 4.0 and row["text"] not in {text for _, _, text in found}:
                samples, _ = soundfile.read(SPEECH / row["path"], dtype="float32")
                found.append((Path(row["path"]).stem, samples, row["text"]))
            if len(found) == sum(COUNTS.values()):
                break
    return found


def speech(
    project: Project,
    change: Mapping[int, Callable[[Samples], Samples]] | Callable[[Samples], Samples] | None = None,
    *,
    rows: Mapping[int, Mapping[str, Any]] | None = None,
    suffix: str = ".wav",
    rate: int = RATE,
    durations: bool = True,
    format: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write them into `data` and return the arguments of `vox doctor`: the manifest. Ids are `u00`, `u01` ….

    `change` spoils the samples of some before they are written, or of all; `rows` changes what their rows say.
    """
    folder = project.path / "data"
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    splits = [split for split, count in COUNTS.items() for _ in range(count)]
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        names = ["id", "path", "text", "split"] + (["duration"] if durations else [])
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for number, ((_, samples, text), split) in enumerate(zip(prompts(), splits, strict=True)):
            spoil = change.get(number) if isinstance(change, Mapping) else change
            made = samples if spoil is None else spoil(samples)
            path = folder / f"audio/{number:02}{suffix}"
            soundfile.write(path, made, rate, **(format or {}))
            row = {"id": f"u{number:02}", "path": f"audio/{path.name}", "text": text, "split": split}
            if durations:
                row["duration"] = f"{len(made) / rate:.3f}"
            writer.writerow(row | dict((rows or {}).get(number, {})))
    return ["data/manifest.csv"]


def audio(project: Project, number: int, suffix: str = ".wav") -> Path:
    """The file of a prompt."""
    return project.path / f"data/audio/{number:02}{suffix}"
