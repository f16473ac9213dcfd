"""Which values of a recipe are paths, and what a relative one is relative to: the one place that decides it.

A value is a path where its key is annotated `Path`, or is text under one of the names in `NAMES` (a checkpoint may be a
hub id as well). `~` is the home folder. A relative path is looked for

    1. beside the file that sets it (the parent's file for an inherited key),
    2. in the working directory,
    3. among what ships with voxcli (a checkpoint called `sample-model`),

and becomes absolute where it is found. Where it is not, it stays as it is and R017 says so: an error where the recipe
is about to be run, a warning where it is only read. On the command line, the working directory alone counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voxcli.recipe.problems import Problems
from voxcli.recipe.where import Key, Place, dotted, nearest
from voxcli.sample import shipped_file

NAMES = frozenset({"root", "path", "paths", "folder", "manifest", "checkpoint", "exclude"})
MAYBE_REMOTE = frozenset({"checkpoint", "path", "paths"})
"""Names whose value may be a hub id: nothing is said where no such file exists."""


def located(
    cls: type, table: Mapping[str, Any], at: Key, places: Mapping[Key, Place], problems: Problems
) -> dict[str, Any]:
    """The path keys of a table with what they mean; a local path that is not there becomes a finding (R017)."""
    found: dict[str, Any] = {}
    for name, surely in _path_keys(cls, table):
        place = nearest(places, (*at, name)) or Place("default")
        values = table[name] if isinstance(table[name], list) else [table[name]]
        where = [_locate(value, place.folder) or shipped_file(name, value) for value in values]
        for value, path in zip(values, where, strict=True):
            if not value:
                problems.add("R006", f'{dotted((*at, name))} is "", expected a path', None, (*at, name))
            elif path is None and (surely or name not in MAYBE_REMOTE):
                beside = f"beside {place.name} and " if place.path is not None else ""
                looked = f"looked {beside}in the working directory; " if _relative(value) else ""
                help = f"{looked}`{dotted((*at, name))}=PATH` on the command line sets another"
                message = f"{dotted((*at, name))}: there is no {value}"
                problems.add("R017", message, help, (*at, name), level=problems.missing)
        texts = [str(path) if path is not None else value for value, path in zip(values, where, strict=True)]
        found[name] = texts if isinstance(table[name], list) else texts[0]
    return found


def _path_keys(cls: type, table: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """(key, whether its annotation says that it is a path) of the keys that may hold one."""
    annotations = {name: str(field.type) for name, field in getattr(cls, "__dataclass_fields__", {}).items()}
    for name in (name for name in annotations if name in table):
        found = table[name]
        surely = "Path" in annotations.get(name, "") and "str" not in annotations.get(name, "")
        texts = found if isinstance(found, list) else [found]
        if (surely or name in NAMES) and texts and all(isinstance(text, str) for text in texts):
            yield name, surely


def _relative(value: str) -> bool:
    return not Path(value).expanduser().is_absolute()


def _locate(value: str, folder: Path) -> Path | None:
    if not value:
        return None
    try:
        path = Path(value).expanduser()
        for candidate in (folder / path, Path.cwd() / path):
            if candidate.exists():
                return candidate.absolute()
    except (OSError, RuntimeError, ValueError):  # no home folder, a name that is too long, a null byte
        pass
    return None
