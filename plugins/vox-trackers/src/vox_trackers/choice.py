"""Which trackers a run has: those that VOX_TRACKERS names, else TensorBoard where it is installed.

TensorBoard writes into the run's folder and nowhere else. What may send something off the machine has to be named.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass

from vox_trackers.tracker import Tracker

VARIABLE = "VOX_TRACKERS"
NONE = ("", "none")


@dataclass(frozen=True)
class Known:
    """A library and its adapter."""

    library: str
    """The module that has to be there."""
    target: str
    """module:class"""


KNOWN = {
    "tensorboard": Known("tensorboard", "vox_trackers.tensorboard:TensorBoard"),
    "mlflow": Known("mlflow", "vox_trackers.mlflow:MLflow"),
    "wandb": Known("wandb", "vox_trackers.wandb:WandB"),
    "trackio": Known("trackio", "vox_trackers.trackio:Trackio"),
}


def asked() -> list[str]:
    """The names, in their order, each once."""
    value = os.environ.get(VARIABLE)
    if value is None:
        return ["tensorboard"] if _installed("tensorboard") else []
    names = [name.strip().lower() for name in value.split(",")]
    return [name for name in dict.fromkeys(names) if name not in NONE]


def problem(name: str) -> str | None:
    """Why a tracker of this name cannot be had, with the repair; None where it can."""
    if name not in KNOWN:
        close = difflib.get_close_matches(name, KNOWN, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return f"{VARIABLE} names '{name}', which is no tracker; {meant}known: {', '.join(KNOWN)}"
    if not _installed(KNOWN[name].library):
        return f"{VARIABLE} names {name}, which is not installed: pip install 'vox-trackers[{name}]'"
    return None


def made(names: list[str]) -> Iterator[tuple[str, Tracker]]:
    """(name, adapter) of those that can be had."""
    for name in names:
        module, _, attribute = KNOWN[name].target.partition(":")
        yield name, getattr(importlib.import_module(module), attribute)()


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
