"""What an adapter to one library does, and what it is told of the run: plain values in, calls of the library out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

End = Literal["finished", "stopped early", "interrupted", "failed"]


@dataclass(frozen=True)
class About:
    """A run, as a tracker sees it."""

    name: str
    """The recipe's name; of a stage name/1-head."""
    project: str
    """What runs are gathered under: VOX_TRACKERS_PROJECT, or "voxcli"."""
    group: str | None
    """The run in stages that it is one of."""
    folder: Path
    """The run's folder."""
    recipe: Mapping[str, bool | int | float | str]
    """Every key of the recipe that has a value: "train.learning_rate", "data.0.path"."""
    metrics: tuple[str, ...]
    """Names of what is measured on the validation split."""
    step: int
    """Optimizer steps that have been taken."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """What this tracker gave to be kept when the run was begun; empty for a run that begins."""


class Tracker(Protocol):
    """One library. Whatever it raises is said once, and the run goes on without it."""

    def start(self, about: About) -> dict[str, str]:
        """Begin or go on; what has to be kept in the run's folder to go on with the same one later."""
        ...

    def where(self) -> str:
        """Where its figures are found, in a few words."""
        ...

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Figures after an optimizer step."""
        ...

    def checkpoint(self, path: Path, step: int, *, best: bool) -> None:
        """A checkpoint lies at `path`. It is named, not uploaded."""
        ...

    def end(self, how: End, error: str | None) -> None:
        """The run ended. `error` says why it failed."""
        ...
