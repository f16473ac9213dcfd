"""A checkpoint is a folder that `from_pretrained` (or peft) loads, plus `training_state/` for an exact resume.

It is written beside its place, forced to the disk and renamed: a folder called step-000500 is whole or not there, even
when the process is killed or the disk fills up meanwhile. Nothing in it is a pickle.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from voxcli.api import Bundle
from voxcli.errors import TrainingError
from voxcli.models.checkpoint import quietly
from voxcli.train import packing
from voxcli.train.folder import TRAINING_STATE, RunFolder
from voxcli.train.state import State

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def save(
    target: Path, *, write_model: Callable[[Path], None], training: dict[str, Any], state: State, needed: int = 0
) -> Path:
    """Write a checkpoint and return its folder.

    `write_model` fills a folder with model, processor and settings; `training` is the tree of optimizer, scheduler and
    generators. `needed` is about how many bytes it takes, for the message. Raises `TrainingError` where it cannot be
    written; what was there before is untouched and the unfinished part is removed.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / TRAINING_STATE).mkdir(parents=True)
        write_model(partial)
        packing.write(training, partial / TRAINING_STATE / "training")
        state.write(partial / TRAINING_STATE / "state.json")
        to_disk(partial)
        if target.exists():
            shutil.rmtree(target)
        os.replace(partial, target)
        _to_disk_entry(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial)
        if (reason := disk_problem(error)) is None:
            raise
        raise TrainingError(
            f"the checkpoint {target} could not be written: {reason}", help=_advice(target, needed)
        ) from error
    return target


def read_training(checkpoint: Path) -> dict[str, Any]:
    """The tree that `save` was given as `training`."""
    tree: dict[str, Any] = packing.read(checkpoint / TRAINING_STATE / "training")
    return tree


def read_state(checkpoint: Path) -> State:
    """Where the run stood when the checkpoint was written."""
    return State.read(checkpoint / TRAINING_STATE / "state.json")


def load_weights(bundle: Bundle, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into a model that was built from the same recipe, in place."""
    model = bundle.model
    if (checkpoint / "adapter_config.json").is_file():
        from peft import load_peft_weights, set_peft_model_state_dict

        set_peft_model_state_dict(model, load_peft_weights(str(checkpoint), device="cpu"))
        return
    # through from_pretrained, which undoes whatever save_pretrained does to the names of weights
    with quietly():
        saved = type(model).from_pretrained(checkpoint, dtype=torch.float32)  # type: ignore[attr-defined]
    model.load_state_dict(saved.state_dict())


def rotate(folder: RunFolder, *, keep: int, also: Collection[int] = ()) -> None:
    """Remove all but the newest `keep` checkpoints, the best one, and those of the steps in `also`."""
    best = folder.best_step()
    found = folder.checkpoints()
    for step, path in found[: max(0, len(found) - max(keep, 1))]:
        if step != best and step not in also:
            shutil.rmtree(path, ignore_errors=True)


def size(bundle: Bundle, optimizer: torch.optim.Optimizer, *, averaged: bool = False) -> int:
    """About how many bytes a checkpoint takes: what is saved of the model, the optimizer's state, and the raw weights
    where the model is their average."""
    parameters = list(bundle.model.parameters())
    saved = [p for p in parameters if p.requires_grad] if hasattr(bundle.model, "peft_config") else parameters
    states = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    raw = [p for p in parameters if p.requires_grad] if averaged else []
    return sum(tensor.nbytes for tensor in [*saved, *states, *raw])


def disk_problem(error: BaseException) -> str | None:
    """What the disk said, or None where the error is not about the disk. safetensors reports it as text."""
    if isinstance(error, OSError):
        return "the disk is full" if error.errno in _FULL else str(error.strerror or error)
    if type(error).__name__ == "SafetensorError":
        text = str(error)
        full = "No space left" in text or "StorageFull" in text or "os error 28" in text or "QuotaExceeded" in text
        return "the disk is full" if full else text
    return None


def _advice(target: Path, needed: int) -> str:
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(target.parent).free
        before = "the checkpoints written before are whole; "
        return (
            f"a checkpoint takes about {needed / 2**20:,.1f} MiB and {free / 2**20:,.1f} MiB are free on that disk; "
            f"{before}make room, or lower train.save_total_limit, and continue with --resume"
        )
    return "give a --run-dir on a disk that can be written"


def to_disk(folder: Path) -> None:
    """fsync(2) every file and folder below `folder`: a rename must not become visible before the bytes it names."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _to_disk_entry(Path(parent) / name)
        _to_disk_entry(Path(parent))


def _to_disk_entry(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
