"""Missing files of a data set -> the `root` under which files of the same names are, and the key that names it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Split
from voxcli.doctor.audio.files import LOOKED_AT, moved

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


@dataclass(frozen=True)
class Root:
    """Where the files are."""

    folder: Path
    written: str
    """As it stands in a recipe."""
    key: tuple[str | int, ...]

    @property
    def dotted(self) -> str:
        """The key for a `Fix`."""
        return ".".join(map(str, self.key))


def new_root(context: Context, split: Split, paths: Sequence[Path]) -> Root | None:
    """None where the files are not found, and where no key of the data set would lead to them."""
    found = moved(paths) if paths else None
    if found is None:
        return None
    old, new = found
    for number, dataset in enumerate(context.data.datasets):
        if not any(one.name == "root" for one in dataclasses.fields(dataset)):  # type: ignore[arg-type]
            continue
        root = Path(os.path.abspath(getattr(dataset, "root", None) or _own(dataset, split)))
        folder = _replaced(root, old, new)
        if folder is None:
            continue
        before = [path.relative_to(root) for path in paths[:LOOKED_AT] if path.is_relative_to(root)]
        if before and all((folder / one).is_file() for one in before):
            return Root(folder, _written(folder, context), ("data", number, "root"))
    return None


def _own(dataset: Any, split: Split) -> Path:
    """The folder that paths begin at where no key says one: that of the manifest."""
    named = getattr(dataset, split, None) or getattr(dataset, "path", None)
    first = named[0] if isinstance(named, tuple) else named
    return Path(first).parent if first is not None else Path()


def _replaced(root: Path, old: Path, new: Path) -> Path | None:
    """The root under which a path below `old` is found below `new`."""
    if root.is_relative_to(old):
        return new / root.relative_to(old)
    if old.is_relative_to(root):
        rest = old.relative_to(root).parts
        return Path(*new.parts[: -len(rest)]) if new.parts[-len(rest) :] == rest else None
    return None


def _written(folder: Path, context: Context) -> str:
    """Relative to the recipe where it lies below it."""
    recipe = context.subject.path
    base = Path(os.path.abspath(recipe)).parent if recipe is not None and "recipe" in context.subject.kinds else None
    inside = base is not None and folder.is_relative_to(base)
    return folder.relative_to(base).as_posix() if inside and base is not None else str(folder)
