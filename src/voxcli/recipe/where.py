"""The text of a TOML file in, the line of every key out, without a second TOML parser.

A statement of TOML (https://toml.io/en/v1.0.0) is the shortest run of whole lines that parses by itself: a header, a
`key = value`, or a comment. So each file is cut into statements with the standard parser, and every key of a statement
stands on the statement's first line. Multi-line strings and arrays do not parse before their end, whatever they hold.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Key = tuple[str | int, ...]
"""A place in a recipe: ("augment", 0, "p")."""


@dataclass(frozen=True)
class Place:
    """Where a value was set."""

    origin: Literal["file", "preset", "command line", "default"]
    path: Path | None = None
    """The file, for "file" and "preset"."""
    line: int | None = None
    """1-based; None where the whole file is meant."""
    text: str = ""
    """The source line, or the argument of the command line."""

    @property
    def name(self) -> str:
        """The file as a person would write it, or the origin."""
        if self.path is None:
            return self.origin
        if self.origin == "preset":
            return f"preset {self.path.stem}"
        return shown(self.path)

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"

    @property
    def folder(self) -> Path:
        """What a relative path that was set here is relative to."""
        return Path.cwd() if self.path is None else self.path.parent


def shown(path: Path) -> str:
    """A path relative to the working directory where it lies below it, else as it is."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return os.fspath(path)


def dotted(key: Key) -> str:
    """("augment", 0, "p") -> "augment.0.p"; parts that are no bare TOML key are quoted."""
    return ".".join(str(part) if isinstance(part, int) or bare(part) else f'"{part}"' for part in key)


def bare(part: str) -> bool:
    """Whether a key needs no quotes in TOML."""
    return bool(part) and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in part)


@dataclass(frozen=True)
class Statement:
    """A header, a `key = value`, a comment or an empty line of a TOML file."""

    begin: int
    """Its first line, 0-based."""
    end: int
    """The line after its last."""
    table: Key
    """The table it opens or stands in; () before the first header."""
    header: bool
    values: dict[str, Any]
    """What it says by itself: {"a": {"b": 1}} for `a.b = 1`; empty for a header, a comment, an empty line."""


def statements(text: str) -> Iterator[Statement]:
    """The statements of a TOML file in their order. `text` has to be valid TOML."""
    counts: dict[Key, int] = {}  # arrays of tables -> index of their last element
    table: Key = ()
    open_lines: list[str] = []
    for number, line in enumerate(text.split("\n")):
        open_lines.append(line)
        try:
            part = tomllib.loads("\n".join(open_lines))
        except tomllib.TOMLDecodeError:
            continue  # goes on in the next line
        header = open_lines[0].lstrip().startswith("[")
        if header:
            table = _header(part, counts)
        yield Statement(number + 1 - len(open_lines), number + 1, table, header, {} if header else part)
        open_lines = []


def lines(text: str) -> dict[Key, int]:
    """The 1-based line of every key, table and array element. `text` has to be valid TOML."""
    found: dict[Key, int] = {}
    for statement in statements(text):
        table = statement.table
        if statement.header:
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], statement.begin + 1)
        for key in keys(statement.values):
            found.setdefault(table + key, statement.begin + 1)
    return found


def _header(part: dict[str, Any], counts: dict[Key, int]) -> Key:
    """The key that a parsed header opens: {"a": {"b": [{}]}} -> ("a", "b", 0), and ("a", "b", 1) the next time."""
    key: Key = ()
    value: Any = part
    while value:
        name, value = next(iter(value.items()))
        key += (name,)
        if isinstance(value, list):
            counts[key] = counts.get(key, -1) + 1
            return (*key, counts[key])
        if key in counts:
            key += (counts[key],)
    return key


def keys(value: Any, prefix: Key = ()) -> Iterator[Key]:
    """Every key below a table or an array, outermost first."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*prefix, name)
            yield from keys(inner, (*prefix, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*prefix, index)
            yield from keys(inner, (*prefix, index))


def nearest(places: Mapping[Key, Place], key: Key) -> Place | None:
    """The place of a key, or of the innermost table around it that has one."""
    for length in range(len(key), -1, -1):
        if key[:length] in places:
            return places[key[:length]]
    return None
