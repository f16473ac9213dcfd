"""A recipe's file in, its tables out: parents merged, `unset` and the command line applied, every key with its place.

One parent by `extends`: tables merge key by key, arrays and scalars replace. Nothing is checked here against what
exists; `resolve` does that.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from voxcli.api import Finding
from voxcli.errors import RecipeError
from voxcli.recipe import overrides, shipped
from voxcli.recipe.problems import Problems
from voxcli.recipe.where import Key, Place, dotted, keys, lines, shown


@dataclass
class Tables:
    """The tables of a recipe and where each key was set."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, Place] = field(default_factory=dict)
    complete: bool = True
    """False where a parent could not be read, so that a missing key may not be the reader's fault."""

    def drop(self, key: Key) -> None:
        """Forget a key and everything below it. The key has to exist."""
        parent: Any = self.values
        for part in key[:-1]:
            parent = parent[part]
        del parent[key[-1]]
        self.places = {at: place for at, place in self.places.items() if at[: len(key)] != key}

    def merge(self, child: Tables) -> None:
        """Lay a child over this parent: tables key by key, everything else replaced."""
        self._merge(self.values, child.values, child.places, ())
        if () in child.places:
            self.places[()] = child.places[()]
        self.complete = self.complete and child.complete

    def _merge(self, mine: dict[str, Any], theirs: dict[str, Any], places: dict[Key, Place], prefix: Key) -> None:
        for name, value in theirs.items():
            key = (*prefix, name)
            if key in places:
                self.places[key] = places[key]
            if isinstance(value, dict) and isinstance(mine.get(name), dict):
                self._merge(mine[name], value, places, key)
                continue
            if name in mine:
                self.drop(key)
            mine[name] = value
            self.places.update({at: place for at, place in places.items() if at[: len(key)] == key})


def load(source: str | Path, arguments: Sequence[str], problems: Problems, *, content: bytes | None = None) -> Tables:
    """Read a recipe: a path, or the name of a shipped one. `arguments` are the overrides of the command line.

    `content` is taken for the file's own where it is given: an edited recipe is read before it is written. Problems
    that leave something to check go to `problems`. Raises `RecipeError` where there is nothing to read.
    """
    asked, arguments = overrides.take_extends(arguments, problems)
    tables = _read_with_parents(find(source), problems, (), asked, content)
    return finish(tables, arguments, problems)


def finish(tables: Tables, arguments: Sequence[str], problems: Problems) -> Tables:
    """Apply the overrides of the command line."""
    for argument in arguments:
        overrides.apply(tables, argument, problems)
    return tables


def find(source: str | Path) -> Path:
    """The file of a recipe. Raises `RecipeError` (R001) where there is none."""
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        inside = sorted(path.glob("*.toml"))
        raise _unreadable(
            f"{source} is a folder, expected a TOML file",
            f"it holds {', '.join(file.name for file in inside[:5])}" if inside else "name the recipe's file",
        )
    if found := shipped.find(str(source), prefer="recipe"):
        return found
    beside = sorted(path.parent.glob("*.toml")) if path.parent.is_dir() else []
    nearby = [file for file in beside if file.name != "pyproject.toml"]
    candidates = [shown(file) for file in nearby] + [one.name for one in shipped.shipped() if one.kind == "recipe"]
    raise _unreadable(
        f"there is no recipe {source}", Problems.suggestion(str(source), candidates) or "`vox recipe list` shows names"
    )


def _unreadable(message: str, help: str, place: Place | None = None) -> RecipeError:
    finding = Finding("error", message, help, code="R001")
    return RecipeError(message, help=help, findings=[finding], places={(): place} if place else {})


def _read_with_parents(
    path: Path, problems: Problems, chain: tuple[Path, ...], asked: str | None = None, content: bytes | None = None
) -> Tables:
    child = read(path, content)
    extends = child.values.pop("extends", None) if asked is None else asked
    child.values.pop("extends", None)
    unset = child.values.pop("unset", None)
    for key in (("extends",), ("unset",)):  # a finding about them needs the place, the tables need it no more
        if key in child.places:
            problems.places[key] = child.places[key]
    if asked is not None:
        problems.places["extends",] = Place("command line", text=f"extends={asked}")
    if extends is None:
        if unset is not None:
            problems.add("R002", "`unset` drops inherited keys, and nothing is inherited", "add `extends`", ("unset",))
        return child
    tables = _parent(extends, path, problems, (*chain, path.resolve()))
    _unset(unset, tables, problems)
    tables.merge(child)
    return tables


def _parent(extends: Any, path: Path, problems: Problems, chain: tuple[Path, ...]) -> Tables:
    missing = Tables(complete=False)
    if not isinstance(extends, str):
        problems.add("R002", f"extends is {extends!r}, expected one name or path", 'extends = "NAME"', ("extends",))
        return missing
    named = Path(extends).expanduser()
    parent = next((one for one in (path.parent / named, Path.cwd() / named) if one.is_file()), None)
    if parent is None:
        parent = shipped.find(extends, prefer="preset")
        if parent is None:
            names = [one.name for one in shipped.shipped()]
            kind = "file" if extends.endswith(".toml") or "/" in extends else "preset"
            problems.add("R002", f"there is no {kind} '{extends}'", Problems.suggestion(extends, names), ("extends",))
            return missing
    if parent.resolve() in chain:
        circle = " -> ".join(shown(file) for file in (*chain[chain.index(parent.resolve()) :], parent.resolve()))
        problems.add("R002", f"recipes extend each other: {circle}", "remove one `extends`", ("extends",))
        return missing
    try:
        return _read_with_parents(parent, problems, chain)
    except RecipeError as error:
        problems.take(error, ("extends",))
        return missing


def _unset(unset: Any, tables: Tables, problems: Problems) -> None:
    if unset is None:
        return
    if not isinstance(unset, list) or not all(isinstance(name, str) for name in unset):
        problems.add("R002", f"unset is {unset!r}, expected an array of keys", 'unset = ["adapter"]', ("unset",))
        return
    for name in unset:
        key = overrides.parse_key(name, tables.values)
        known = set(keys(tables.values))
        if key in known:
            tables.drop(key)
        elif tables.complete:
            names = [dotted(at) for at in known]
            message = f"unset names '{name}', which is not inherited"
            problems.add("R002", message, Problems.suggestion(name, names, limit=8), ("unset",))


def read(path: Path, content: bytes | None = None) -> Tables:
    """One file without its parents. Raises `RecipeError` (R001), with the line where it is not TOML."""
    origin: Literal["file", "preset"] = "preset" if shipped.is_preset(path) else "file"
    try:
        raw = path.read_bytes() if content is None else content
    except OSError as error:
        raise _unreadable(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        place = Place(origin, path, raw.count(b"\n", 0, error.start) + 1)
        raise _unreadable(f"{path} is not UTF-8: {error.reason}", "save it as UTF-8", place) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, str(error), origin) from error
    if not values:
        help = "`vox recipe new FOLDER` writes one for a folder of data"
        raise _unreadable(f"{shown(path)} is empty", help, Place(origin, path))
    source = text.split("\n")
    places = {key: Place(origin, path, line, source[line - 1].strip()) for key, line in lines(text).items()}
    return Tables(values, {(): Place(origin, path), **places})


def _not_toml(path: Path, text: str, message: str, origin: Any) -> RecipeError:
    source = text.rstrip("\n").split("\n")
    at = re.search(r"at line (\d+), column \d+", message)
    number = min(int(at[1]), len(source)) if at else len(source)
    line = source[number - 1].strip()
    reason = re.sub(r" \(at .*\)$", "", message)
    return _unreadable(
        f"{shown(path)} is not TOML: {reason[:1].lower()}{reason[1:]}",
        _toml_repair(line, reason),
        Place(origin, path, number, line),
    )


def _toml_repair(line: str, reason: str) -> str:
    """The repair of the slips that people who write YAML or Python make."""
    value = line.partition("=")[2].strip()
    if "overwrite" in reason:
        return "a key can be set once"
    if "twice" in reason or "Cannot declare" in reason:
        return "a section can be opened once; a list of sections is written [[name]]"
    if re.match(r"(True|False|None)\b", value):
        return "true and false are lower case; a key without a value is left out"
    if re.match(r"[\w.-]+\s*:", line):
        return "TOML writes `key = value`"
    if line.startswith("[") and not line.partition("#")[0].rstrip().endswith("]"):
        return "a section is `[name]`, a list of sections `[[name]]`"
    if re.match(r"[A-Za-z_/~.]", value):
        return "text stands in quotes"
    return "`key = value` under `[section]`; text in quotes"
