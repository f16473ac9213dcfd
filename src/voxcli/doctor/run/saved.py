"""The checkpoints of a run, without loading them: which are whole, and what the others lack.

A safetensors file says in its header how long it has to be (https://github.com/huggingface/safetensors, Format), so a
file that was cut short is known from 8 bytes and the header.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from voxcli.doctor.subject import TRAINER_STATE
from voxcli.train.folder import BEST, CHECKPOINTS, TRAINING_STATE

WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "adapter_model.bin")
INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
OTHERS = ("*.safetensors", "pytorch_model*.bin", "*.pth.tar", "global_step*", "pytorch_model_fsdp*")
"""Other ways of keeping weights: parts of processes (DeepSpeed, FSDP), other names."""
LONGEST_HEADER = 100_000_000  # bytes, the limit of safetensors' own reader


@dataclass(frozen=True)
class Saved:
    """One folder that a run saved its model to."""

    step: int
    path: Path
    problem: str | None = None
    """Why it cannot be used, or None."""


def of_run(folder: Path) -> list[Saved]:
    """Checkpoints of a run of voxcli, oldest first; step -1 for what was left half written."""
    found = []
    for entry in _entries(folder / CHECKPOINTS):
        if match := re.fullmatch(r"step-(\d+)", entry.name):
            problem = weights_problem(entry)
            if problem is None and not (entry / TRAINING_STATE / "state.json").is_file():
                problem = None if not (entry / TRAINING_STATE).is_dir() else "its training state is not complete"
            found.append(Saved(int(match[1]), entry, problem))
        elif re.fullmatch(r"\.step-\d+\.partial", entry.name):
            found.append(Saved(-1, entry, "it was not written to its end"))
    return sorted(found, key=lambda one: one.step)


def of_trainer(folder: Path) -> list[Saved]:
    """Checkpoints that the transformers Trainer wrote into a folder, oldest first."""
    found = []
    for entry in _entries(folder):
        if match := re.fullmatch(r"checkpoint-(\d+)", entry.name):
            found.append(Saved(int(match[1]), entry, weights_problem(entry) if _more_than_a_log(entry) else None))
        elif re.fullmatch(r"tmp-checkpoint-\d+", entry.name):
            found.append(Saved(-1, entry, "it was not written to its end"))
    return sorted(found, key=lambda one: one.step)


def _more_than_a_log(folder: Path) -> bool:
    """Whether a model was meant to be in a folder: one may have been sent the log alone."""
    return any(entry.name != TRAINER_STATE for entry in folder.iterdir())


def best_problem(folder: Path) -> str | None:
    """What is wrong with `best` of a run of voxcli."""
    best = folder / BEST
    if best.is_symlink() and not best.exists():
        return f"best stands for {os.readlink(best)}, which is not there"
    return None


def weights_problem(folder: Path) -> str | None:
    """Why the weights in a folder cannot be loaded; None where they look whole or are kept in another way."""
    for name in WEIGHTS:
        path = folder / name
        if not path.is_file():
            continue
        if path.stat().st_size == 0:
            return f"{name} is empty"
        if name.endswith(".safetensors"):
            return shortened(path)
        return None
    for name in INDICES:
        if (folder / name).is_file():
            return _shards_problem(folder, name)
    if any(any(folder.glob(pattern)) for pattern in OTHERS):
        return None
    return "it holds no weights"


def shortened(path: Path) -> str | None:
    """Whether a safetensors file ends before its header says, or has no header; None where it is whole."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(LONGEST_HEADER, size - 8):
                return f"{path.name} is damaged: {size} bytes without a readable header"
            header = json.loads(file.read(length))
        ends = [int(one["data_offsets"][1]) for key, one in header.items() if key != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return f"{path.name} is damaged: its header cannot be read"
    needed = 8 + length + max(ends, default=0)
    return None if size >= needed else f"{path.name} is cut short: {size:,} of {needed:,} bytes"


def _shards_problem(folder: Path, index: str) -> str | None:
    try:
        table = json.loads((folder / index).read_text(encoding="utf-8"))
        names = sorted(set(table["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{index} cannot be read"
    for name in names:
        if not (folder / name).is_file():
            return f"{name} is missing"
        if name.endswith(".safetensors") and (problem := shortened(folder / name)):
            return problem
    return None


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:
        return []
