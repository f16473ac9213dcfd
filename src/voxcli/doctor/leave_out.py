"""Ids of utterances -> the text file that `[filter] exclude` names, as it is and as it would be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxcli.data.exclude import COMMENT, parse
from voxcli.errors import UsageError
from voxcli.recipe.edit import replace_file
from voxcli.recipe.where import shown

SUFFIX = ".exclude.txt"


@dataclass(frozen=True)
class ListEdit:
    """A list's file as it is and as it would be."""

    path: Path
    before: bytes | None
    """None where there is no file yet."""
    after: bytes
    like: Path
    """Whose permissions a new file takes."""

    def difference(self) -> str:
        """The unified difference."""
        old, new = (_text(content).splitlines(keepends=True) for content in (self.before or b"", self.after))
        begin = shown(self.path) if self.before is not None else "/dev/null"
        return "".join(difflib.unified_diff(_ended(old), _ended(new), fromfile=begin, tofile=shown(self.path), n=2))

    def write(self) -> None:
        """Put the new list in its place. Raises `UsageError` where the file is another by now."""
        if (self.path.read_bytes() if self.path.exists() else None) != self.before:
            raise UsageError(f"{shown(self.path)} was changed meanwhile", help="begin again")
        replace_file(self.path.resolve(), self.after, like=self.path if self.before is not None else self.like)

    def undo(self) -> None:
        """Put back what stood there."""
        if self.before is None:
            self.path.unlink()
        else:
            replace_file(self.path.resolve(), self.before, like=self.path)


def beside(path: Path) -> Path:
    """Where the list of a manifest or a folder stands without a recipe: `speech.exclude.txt` for `speech.csv`."""
    whole = path.absolute()
    return whole.with_name((whole.stem if whole.is_file() else whole.name) + SUFFIX)


def free(recipe: Path) -> Path:
    """A name beside a recipe that no file has: `r.exclude.txt`, `r.exclude-2.txt`."""
    names = [SUFFIX, *(f".exclude-{number}.txt" for number in range(2, 1000))]
    return next(path for name in names if not (path := recipe.with_name(recipe.stem + name)).exists())


def extended(path: Path, groups: Iterable[tuple[str, Sequence[str]]], *, like: Path) -> tuple[ListEdit, list[str]]:
    """The list with more lines, each group under a comment, and the lines that no list can hold.

    What stands there stays. A line is left out where its id is listed already.
    """
    before = path.read_bytes() if path.exists() else None
    text = _text(before or b"")
    known = parse(text.splitlines())
    listed = set(known.everywhere)
    of_split = {f"{name}\t{split}" for split, names in known.of_split.items() for name in names}
    added: list[str] = []
    impossible: list[str] = []
    for comment, lines in groups:
        new = []
        for line in dict.fromkeys(lines):
            if not _fits(line):
                impossible.append(line)
            elif line not in listed and line not in of_split and _bare(line) not in listed:
                (of_split if parse([line]).of_split else listed).add(line)
                new.append(line)
        if new:
            added += [f"{COMMENT}{comment}", *new]
    after = before or b""
    if added:
        end = b"\r\n" if b"\r\n" in after else b"\n"
        gap = b"" if not after or after.endswith(b"\n") else end
        after += gap + b"".join(line.encode("utf-8") + end for line in added)
    return ListEdit(path, before, after, like), impossible


def _bare(line: str) -> str:
    return line.rpartition("\t")[0] if parse([line]).of_split else line


def _fits(line: str) -> bool:
    """Whether a line of the list can hold it."""
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return line.splitlines() == [line] and line.strip() == line and not line.startswith(COMMENT)


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def _ended(lines: list[str]) -> list[str]:
    return [line if line.endswith("\n") else line + "\n" for line in lines]
