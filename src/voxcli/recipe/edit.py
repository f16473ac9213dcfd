"""A recipe's file and changed keys in, the file's new text out: comments, order and everything else stay as they are.

What is inherited by `extends` is changed in the child: a key is set there, a table that goes is named in `unset`. Lines
are found with `recipe.where`, so that there is no second TOML parser; what was written is read back and compared with
what was asked for before anybody sees it.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcli.errors import UsageError, VoxError
from voxcli.recipe import shipped
from voxcli.recipe.load import load
from voxcli.recipe.overrides import parse_key
from voxcli.recipe.problems import Problems
from voxcli.recipe.render import value_text
from voxcli.recipe.schema import SECTIONS
from voxcli.recipe.where import Key, Statement, dotted, keys, shown, statements

_BOM = b"\xef\xbb\xbf"
_ABSENT = object()


@dataclass(frozen=True)
class Edit:
    """A recipe's file as it is and as it would be."""

    path: Path
    before: bytes
    after: bytes

    def difference(self) -> str:
        """The unified difference; "" where nothing changes."""
        old, new = (_plain(content).splitlines(keepends=True) for content in (self.before, self.after))
        lines = difflib.unified_diff(old, new, fromfile=shown(self.path), tofile=shown(self.path), n=2)
        return "".join(line if line.endswith("\n") else line + "\n" for line in lines)

    def write(self) -> None:
        """Put the new text in the file's place in one move. Raises `UsageError` where the file is another by now."""
        target = self.path.resolve()  # a link stays one
        if target.read_bytes() != self.before:
            raise UsageError(f"{shown(self.path)} was changed meanwhile", help="plan again: the file is as you left it")
        replace_file(target, self.after, like=target)


def replace_file(target: Path, content: bytes, *, like: Path) -> None:
    """Put a file in its place in one move, with the permissions of the file `like`."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if like.is_file():
            shutil.copymode(like, name)
        else:
            os.chmod(name, 0o644)
        os.replace(name, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def edit(path: Path, changes: Mapping[str, Any], arguments: Sequence[str] = ()) -> Edit:
    """The edit after which the recipe says what it says now with `arguments` (overrides as on the command line) and
    `changes` on top.

    `changes`: "train.optim" -> value, "adapter" -> the whole table, "quantization" -> None, which removes it. Raises
    `UsageError` where the file is not the reader's to change, `VoxError` where the change cannot be written into it.
    """
    if shipped.is_preset(path) or path.resolve().parent == shipped.folder().resolve():
        raise UsageError(
            f"{path.stem} is shipped with voxcli and stays as it is",
            help=f"make a copy of your own: cp {path} {path.name}; then name {path.name} instead",
        )
    if (path.resolve().parent / "lock.json").is_file() or (path.resolve().parent / "stages").is_dir():
        raise UsageError(
            f"{shown(path)} is the record of a run, which a resume has to find as it was",
            help="change the recipe that the run was made from",
        )
    if any(argument.partition("=")[0].strip() == "extends" for argument in arguments):
        raise UsageError("`extends=` of the command line is not written into a recipe", help="write it there yourself")
    before = path.read_bytes()
    now = _values(path, (), None)
    wanted = _values(path, arguments, None)
    for name, value in changes.items():
        _put(wanted, parse_key(name, wanted), value)
    text = _plain(before)
    for key, value in _differences(now, wanted, ()):
        text = _changed(path, text, key, value)
    after = _encoded(text, before)
    try:
        made: Any = _values(path, (), after)
    except VoxError:
        made = None
    if made != wanted:
        lines = "; ".join(
            f"remove {dotted(key)}" if value is _ABSENT else f"{dotted(key)} = {value_text(value)}"
            for key, value in _differences(now, wanted, ())
        )
        raise VoxError(f"{shown(path)} is written in a way that cannot be changed by itself", help=f"by hand: {lines}")
    return Edit(path, before, after)


def _values(path: Path, arguments: Sequence[str], content: bytes | None) -> dict[str, Any]:
    """The tables that a recipe has after inheritance and overrides. Raises `VoxError` where they cannot be had."""
    problems = Problems("warning")
    tables = load(path, arguments, problems, content=content)
    if problems.errors:
        first = problems.errors[0]
        raise UsageError(first.message, help=first.help)
    return tables.values


def _put(values: dict[str, Any], key: Key, value: Any) -> None:
    """Set a key of plain tables, tables on the way included; None removes it."""
    at: Any = values
    for part in key[:-1]:
        if value is None and isinstance(at, dict) and part not in at:
            return
        at = at[part] if isinstance(part, int) else at.setdefault(part, {})
    if value is None:
        if isinstance(at, dict):
            at.pop(key[-1], None)
        else:
            del at[key[-1]]
    else:
        at[key[-1]] = copy.deepcopy(value)


def _differences(now: Any, wanted: Any, at: Key) -> Iterator[tuple[Key, Any]]:
    """(key, new value or _ABSENT) of everything that differs; a table that is new comes whole."""
    if isinstance(now, dict) and isinstance(wanted, dict):
        for name in now:
            if name not in wanted:
                yield (*at, name), _ABSENT
        for name, value in wanted.items():
            if name not in now:
                yield (*at, name), value
            else:
                yield from _differences(now[name], value, (*at, name))
    elif _tables(now) and _tables(wanted) and len(now) == len(wanted):
        for index, (mine, theirs) in enumerate(zip(now, wanted, strict=True)):
            yield from _differences(mine, theirs, (*at, index))
    elif now != wanted or type(now) is not type(wanted):
        yield at, wanted


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _changed(path: Path, text: str, key: Key, value: Any) -> str:
    if value is not _ABSENT:
        return _set(text, key, value)
    text = _removed(text, key)
    try:
        inherited = key in set(keys(_values(path, (), text.encode("utf-8"))))
    except VoxError:  # nothing is left of the file
        inherited = False
    if not inherited:
        return text
    return _set(text, ("unset",), [*tomllib.loads(text).get("unset", ()), dotted(key)])


def _set(text: str, key: Key, value: Any) -> str:
    """The text in which `key` has a value."""
    lines = text.split("\n")
    beside: Statement | None = None  # after which a new key of the same table goes
    for statement in statements(text):
        if statement.header:
            beside = statement if statement.table == key[:-1] else beside
            continue
        if not statement.values:
            continue
        assigned = _assigned(lines, statement)
        if key[: len(assigned)] == assigned:
            return "\n".join(
                [*lines[: statement.begin], *_rewritten(lines, statement, key, value), *lines[statement.end :]]
            )
        if assigned[:-1] == key[:-1] and (key != ("unset",) or assigned == ("extends",)):
            beside = statement
    if isinstance(value, dict):
        return _with_table(text, key, value)
    if beside is None and len(key) > 1:
        return _with_table(text, key[:-1], {str(key[-1]): value})
    line = f"{dotted(key[len(beside.table) :] if beside else key)} = {value_text(value)}"
    if beside is not None:
        return "\n".join([*lines[: beside.end], line, *lines[beside.end :]])
    first = _before_section(text, 0)
    return "\n".join([*lines[:first], line, "", *lines[first:]])


def _removed(text: str, key: Key) -> str:
    """The text in which neither `key` nor anything below it is set. A comment right above a table goes with it."""
    lines = text.split("\n")
    kept: list[str | None] = list(lines)
    begin = 0  # first line that goes with the next statement of a table that goes
    for statement in statements(text):
        if not (statement.header or statement.values):
            continue
        if statement.table[: len(key)] == key:
            begin = _comment_above(lines, statement.begin) if statement.header else begin
            kept[begin : statement.end] = [None] * (statement.end - begin)
            begin = statement.end
        elif statement.values:
            assigned = _assigned(lines, statement)
            span = [None] * (statement.end - statement.begin)
            if assigned[: len(key)] == key:
                kept[statement.begin : statement.end] = span
            elif key[: len(assigned)] == assigned:
                kept[statement.begin : statement.end] = span
                kept[statement.begin] = "\n".join(_rewritten(lines, statement, key, None))
    return _joined(kept)


def _comment_above(lines: Sequence[str], place: int) -> int:
    """The first line of the comment right above a line; the line itself where that comment opens the file."""
    first = place
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first if first else place


def _joined(kept: Sequence[str | None]) -> str:
    """The lines that stay, without the second of two empty ones around a gap."""
    made: list[str] = []
    gap = False
    for line in kept:
        if line is None:
            gap = True
            continue
        if not (gap and not line.strip() and (not made or not made[-1].strip())):
            made.append(line)
            gap = False
    return "\n".join(made)


def _assigned(lines: Sequence[str], statement: Statement) -> Key:
    """The key that a `key = value` sets: ("train", "optim") for `optim = …` under [train] and for `train.optim = …`."""
    found: Any = tomllib.loads(f"{_left(lines, statement)}= 0")
    key = statement.table
    while isinstance(found, dict):
        name, found = next(iter(found.items()))
        key = (*key, name)
    return key


def _left(lines: Sequence[str], statement: Statement) -> str:
    """What stands before the sign of equality; a quoted key may hold such a sign itself."""
    line = lines[statement.begin]
    for index, letter in enumerate(line):
        if letter == "=":
            with contextlib.suppress(tomllib.TOMLDecodeError):
                tomllib.loads(f"{line[:index]}= 0")
                return line[:index]
    raise AssertionError(f"no assignment: {line}")


def _rewritten(lines: Sequence[str], statement: Statement, key: Key, value: Any) -> list[str]:
    """The statement with `key`, which it sets or which lies in the inline table that it sets, changed; its comment
    stays where it is.
    """
    assigned = _assigned(lines, statement)
    values = copy.deepcopy(statement.values)
    _put(values, key[len(statement.table) :], value)
    found: Any = values
    for part in assigned[len(statement.table) :]:
        found = found[part]
    body = f"{_left(lines, statement)}= {value_text(found)}"
    whole = "\n".join(lines[statement.begin : statement.end])
    for index, letter in enumerate(whole):
        if letter == "#" and _says(whole[:index], statement.values):
            column = index - whole.rfind("\n", 0, index) - 2
            return [f"{body:<{column}} {whole[index:]}"]
    return [body]


def _says(text: str, values: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == values
    except tomllib.TOMLDecodeError:
        return False


def _with_table(text: str, key: Key, table: Mapping[str, Any]) -> str:
    """The text with a table that it did not have, before the sections that usually come later."""
    block = [f"[{dotted(key)}]", *(f"{dotted((name,))} = {value_text(value)}" for name, value in table.items())]
    lines = text.split("\n")
    place = _before_section(text, SECTIONS.index(key[0]) + 1 if key[0] in SECTIONS else len(SECTIONS))
    if place < len(lines):
        return "\n".join([*lines[:place], *block, "", *lines[place:]])
    return "\n".join([*text.rstrip("\n").split("\n"), "", *block, ""])


def _before_section(text: str, rank: int) -> int:
    """The line above the first section from `SECTIONS[rank]` on and the comment that stands right over it; the end of
    the file where there is none.
    """
    lines = text.split("\n")
    later = set(SECTIONS[rank:])
    for statement in statements(text):
        if statement.header and statement.table[0] in later:
            return _comment_above(lines, statement.begin)
    return len(lines)


def _plain(content: bytes) -> str:
    return content.removeprefix(_BOM).decode("utf-8").replace("\r\n", "\n")


def _encoded(text: str, like: bytes) -> bytes:
    """The text with the line ends and the byte order mark of `like`."""
    if b"\r\n" in like:
        text = text.replace("\n", "\r\n")
    return (_BOM if like.startswith(_BOM) else b"") + text.encode("utf-8")
