"""What was named (audio files and folders, `-`, or one recipe with a split) -> recordings with an id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxcli.api import Split
from voxcli.audio.decode import read, read_utterance
from voxcli.data.table import Table
from voxcli.errors import DataError, UsageError
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe, resolve
from voxcli.recipe.shipped import find as find_shipped
from voxcli.transcribe import inputs


@dataclass(frozen=True)
class Recording:
    """One recording, and what is known of it."""

    id: str
    audio: Callable[[int], NDArray[np.float32]]
    """Sampling rate in Hz -> (N,). Raises `DataError`."""
    label: str | None = None
    speaker: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Sources:
    """The recordings in order, and the recipe that they are of."""

    recordings: list[Recording]
    recipe: Recipe | None = None
    notes: tuple[str, ...] = ()
    """What was left out."""


def find(
    arguments: Sequence[str],
    *,
    split: Split | None,
    stdin: Callable[[], bytes],
    progress: Progress = NULL,
) -> Sources:
    """A recipe (a file, a run, a shipped name) with its overrides, or else files and folders.

    Raises `UsageError` where a split is named without a recipe, `RecipeError` for a broken recipe, `DataError` for an
    empty split.
    """
    recipe = _recipe(arguments)
    if recipe is not None:
        return _of_recipe(recipe, split or "train", progress)
    if split is not None:
        raise UsageError("--split belongs to a recipe, and none is named", help="leave it out, or name the recipe")
    found = inputs.find(arguments, stdin=stdin)
    ids = _unique([source.relative.with_suffix("").as_posix() for source in found], [source.name for source in found])
    return Sources([Recording(id, _reader(source)) for id, source in zip(ids, found, strict=True)])


def _recipe(arguments: Sequence[str]) -> Recipe | None:
    first = Path(arguments[0])
    if (first / "recipe.toml").is_file():
        return resolve(first / "recipe.toml", arguments[1:], missing="warning")
    shipped = not first.exists() and find_shipped(arguments[0], prefer="recipe") is not None
    return resolve(arguments[0], arguments[1:], missing="warning") if first.suffix == ".toml" or shipped else None


def _of_recipe(recipe: Recipe, split: Split, progress: Progress) -> Sources:
    from voxcli.data.corpus import load_splits

    splits = load_splits(
        recipe.data, recipe.filter, recipe.text, recipe.holdout, limits=None, splits=(split,), progress=progress
    )
    table = splits.split(split)
    if not len(table):
        raise DataError(f"the {split} split of this recipe is empty", help="another --split, or check [[data]]")
    ids = [str(name) for name in table.ids]
    recordings = [_of_row(table, row, name) for row, name in enumerate(_unique(ids, ids))]
    return Sources(recordings, recipe, tuple(str(drop) for drop in splits.drops))


def _of_row(table: Table, row: int, name: str) -> Recording:
    utterance = table.utterance(row)
    return Recording(
        name, lambda rate: read_utterance(utterance, rate), utterance.label, utterance.speaker, utterance.text
    )


def _reader(source: inputs.Source) -> Callable[[int], NDArray[np.float32]]:
    def audio(rate: int) -> NDArray[np.float32]:
        if source.audio is None:
            raise DataError(f"{source.name}: {source.problem}")
        return read(source.audio, sampling_rate=rate, name=source.name)

    return audio


def _unique(short: list[str], long: list[str]) -> list[str]:
    """Short ids where they differ, the long ones where two would be one; never one that leaves the archive."""
    chosen = short if len(set(short)) == len(short) else long
    return [name.lstrip("/").replace("..", "_") for name in chosen]
