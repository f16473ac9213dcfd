"""An argument of `vox doctor` -> what it is: a recipe, data, a run of voxcli or of transformers' Trainer, a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voxcli.errors import UsageError
from voxcli.findings import About
from voxcli.recipe import shipped
from voxcli.recipe.look import MANIFESTS
from voxcli.train.folder import stage_folders

Kind = Literal["machine", "recipe", "data", "run", "trainer", "checkpoint"]

EXAMINED: dict[Kind, tuple[About, ...]] = {
    "machine": ("machine", "plugins"),
    "recipe": ("recipe", "data", "audio", "memory"),
    "data": ("data", "audio"),
    "run": ("run",),
    "trainer": ("run",),
    "checkpoint": ("checkpoint",),
}
"""What is looked at in each kind of subject."""

TRAINER_STATE = "trainer_state.json"


@dataclass(frozen=True)
class Subject:
    """What is examined. A folder may be two things: a checkpoint that the Trainer wrote holds the log of its run."""

    kinds: tuple[Kind, ...]
    name: str
    """As it was given; "this machine" where nothing was."""
    path: Path | None = None
    """A file or a folder; None for the machine and for a recipe that was resolved elsewhere."""

    @property
    def about(self) -> tuple[About, ...]:
        """What checks have to be about to be made here."""
        return tuple(about for kind in self.kinds for about in EXAMINED[kind])


def subject(given: str | None) -> Subject:
    """What an argument names. Raises `UsageError` where it is nothing that can be examined."""
    if given is None:
        return Subject(("machine",), "this machine")
    path = Path(given).expanduser()
    if path.is_dir():
        path = (stage_folders(path) or [path])[-1]  # of a run in stages the newest is looked at
        kinds = _of_folder(path)
        if kinds:
            return Subject(kinds, given, path)
        return Subject(("data",), given, path)
    if path.suffix.lower() in MANIFESTS and path.is_file():
        return Subject(("data",), given, path)
    if path.suffix == ".toml" or path.is_file():
        return Subject(("recipe",), given, path)
    found = shipped.find(given, prefer="recipe")
    if found is not None:
        return Subject(("recipe",), given, found)
    raise UsageError(
        f"there is no file, folder or shipped recipe '{given}'",
        help="name a recipe (.toml), a run's folder, a model's folder, a manifest or a folder of recordings; "
        "`vox doctor` alone looks at this machine",
    )


def _of_folder(path: Path) -> tuple[Kind, ...]:
    if (path / "recipe.toml").is_file() and any(
        (path / name).exists() for name in ("lock.json", "log.jsonl", "checkpoints")
    ):
        return ("run",)
    kinds: list[Kind] = []
    if (path / TRAINER_STATE).is_file() or any(path.glob(f"checkpoint-*/{TRAINER_STATE}")):
        kinds.append("trainer")
    if any((path / name).is_file() for name in ("config.json", "adapter_config.json", "model.safetensors", "vox.json")):
        kinds.append("checkpoint")
    return tuple(kinds)
