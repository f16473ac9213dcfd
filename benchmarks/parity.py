"""What the parity benchmarks share: their settings, vox in processes of its own, and the table they print."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Settings:
    """What is the same on both sides."""

    model: str
    steps: int
    clips: int
    """A batch."""
    accumulate: int
    """Batches a step."""
    learning_rate: float
    seed: int

    @property
    def warmup(self) -> int:
        """A tenth of the steps."""
        return self.steps // 10

    def table(self) -> dict[str, Any]:
        """By name."""
        return {**dataclasses.asdict(self), "warmup": self.warmup}


@dataclass(frozen=True)
class Row:
    """One side of the comparison."""

    name: str
    metrics: dict[str, float]
    prepare: float
    """s before and after training."""
    train: float
    """s of the training steps."""
    cpu: float
    """s of processor time from the start of the program to the score, imports included: what a busy machine leaves
    alone."""
    note: str = ""


def vox(recipe: str, folder: Path, *, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a recipe and score it: what `vox train --json` and `vox evaluate --json` said."""
    file, run = folder / "parity.toml", folder / "run"
    file.write_text(recipe, encoding="utf-8")
    trained = _json(["train", str(file), "--run-dir", str(run), "--json"])
    return trained, _json(["evaluate", str(run), "--split", split, "--worst", "0", "--json"])


def _json(arguments: list[str]) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    made = subprocess.run(
        [sys.executable, "-m", "voxcli", *arguments], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def children() -> float:
    """s of processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(title: str, settings: Settings, found: list[Row]) -> None:
    """Print a table for docs/results.md."""
    names = list(found[0].metrics)
    print(f"\n{title}: {settings.steps} steps of {settings.clips} x {settings.accumulate} clips, learning rate")
    print(f"{settings.learning_rate:g}, seed {settings.seed}, {torch.get_num_threads()} threads\n")
    print(f"| | {' | '.join(names)} | training | the rest | processor, in all |")
    print("|---" * (len(names) + 4) + "|")
    for row in found:
        shown = " | ".join(f"{100 * row.metrics[name]:.1f} %" for name in names)
        print(f"| {row.name} | {shown} | {row.train:.0f} s | {row.prepare:.0f} s | {row.cpu:.0f} s |")
    for row in found:
        if row.note:
            print(f"{row.name}: {row.note}")
