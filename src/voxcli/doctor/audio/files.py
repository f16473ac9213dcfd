"""Files that cannot be used -> which of three things is wrong with each, and where they may have gone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import SPLITS, Finding, Fix, Split
from voxcli.data.table import Table

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

Kind = Literal["missing", "unreadable", "truncated", "other length"]
ALL: tuple[Kind, ...] = ("missing", "unreadable", "truncated", "other length")
LOOKED_AT = 3  # missing files that are looked for elsewhere
FOLDERS = 200  # folders beside the lost one that are looked into
DEEP = 4  # names at the end of a path that are looked for together


@dataclass(frozen=True)
class Unusable:
    """Rows of one split whose audio cannot be used, for one kind of reason."""

    split: Split
    table: Table
    """The rows of the split, usable or not."""
    rows: NDArray[np.int64]
    """Of `table`."""
    reasons: Sequence[str]
    """One for each row."""
    help: str
    """The repair for the first of them."""


def kind_of(problem: str, *, begins: bool = False) -> Kind:
    """What is wrong, by the words of `voxcli.audio`. `begins`: the header could be read."""
    if problem.endswith("does not exist"):
        return "missing"
    if "is cut short" in problem or (begins and "is damaged" in problem):
        return "truncated"
    return "other length" if "and the utterance " in problem else "unreadable"


def unusable(context: Context, kind: Kind) -> list[Unusable]:
    """What the index says of every row, and what listening has found; before training the index alone."""
    found = context._once("unusable", lambda: _unusable(context))
    return [one for known, one in found if known == kind]


def findings(context: Context, kind: Kind, what: str) -> Iterator[Finding]:
    """A finding for each split that has files of a kind: files "`what`"."""
    from voxcli.doctor.data.rows import named, of

    for lost in unusable(context, kind):
        table, whole = lost.table, len(lost.rows) == len(lost.table)
        which = of(len(lost.rows), len(table))
        yield Finding(
            "error" if whole and lost.split == "train" else "warning",
            f"{which} of the {lost.split} split have a file {what}: {lost.reasons[0]}",
            lost.help or "fetch it again, or leave the utterances out",
            utterances=named(table, lost.rows),
            fix=None if whole else Fix(leave_out=context.data.leave_out(lost.split, table, lost.rows)),
        )


def _unusable(context: Context) -> list[tuple[Kind, Unusable]]:
    from voxcli.doctor.audio.listening import listen

    heard: dict[Split, dict[str, tuple[str, str]]] = {split: {} for split in SPLITS}
    known: dict[str, Kind] = {}
    if not context.training:
        for clip in listen(context).clips:
            if clip.problem is not None:
                known[clip.problem.message] = kind_of(clip.problem.message, begins=clip.header is not None)
                heard[clip.split][clip.id] = (clip.problem.message, clip.problem.help or "")
    found: list[tuple[Kind, Unusable]] = []
    for split in SPLITS:
        table = context.data.listed(split)
        column = table.column("problem").array
        rows = np.flatnonzero(pc.is_valid(column).to_numpy())
        reasons = column.drop_null().to_pylist()
        helps = [""] * len(reasons)
        if heard[split]:
            places = pc.index_in(pa.array(list(heard[split])), value_set=table.ids.array)
            rows = np.concatenate([rows, np.asarray(places, np.int64)])
            reasons += [reason for reason, _ in heard[split].values()]
            helps += [help for _, help in heard[split].values()]
        kinds = np.asarray([known.get(reason) or kind_of(reason) for reason in reasons])
        for kind in ALL:
            chosen = np.flatnonzero(kinds == kind)
            if len(chosen):
                some = [reasons[number] for number in chosen]
                found.append((kind, Unusable(split, table, rows[chosen], some, helps[chosen[0]])))
    return found


def moved(paths: Sequence[Path]) -> tuple[Path, Path] | None:
    """(folder that is gone, folder that holds the same names), where the files seem to have moved; else None."""
    if not paths:
        return None
    some = [paths[number * (len(paths) - 1) // max(1, LOOKED_AT - 1)] for number in range(min(LOOKED_AT, len(paths)))]
    for depth in range(min(DEEP, min(len(path.parts) for path in some) - 1), 0, -1):
        ends = [Path(*path.parts[-depth:]) for path in some]
        for folder in _nearby(some[0]):
            old = Path(*some[0].parts[:-depth])
            same = all(Path(*path.parts[:-depth]) == old for path in some)
            if folder != old and same and all((folder / end).is_file() for end in ends):
                return old, folder
    return None


def renamed(paths: Sequence[Path]) -> str | None:
    """The ending that files of the same names have, where it is another one."""
    if not paths or not paths[0].parent.is_dir():
        return None
    same = sorted(one.suffix for one in paths[0].parent.glob(f"{_literal(paths[0].stem)}.*") if one.is_file())
    if same and all(path.with_suffix(same[0]).is_file() for path in paths[:LOOKED_AT]):
        return same[0]
    return None


def _literal(name: str) -> str:
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)


def _nearby(path: Path) -> list[Path]:
    """Folders around the place where a path ends to exist: itself, those in it and in these, and those above."""
    there = next((parent for parent in path.parents if parent.is_dir()), Path(path.anchor))
    found = [there, *list(there.parents)[:2], Path.cwd()]
    for folder in [there, *list(there.parents)[:1], Path.cwd()]:
        level = [folder]
        for _ in range(2):
            level = [below for one in level for below in _folders(one)][:FOLDERS]
            found += level
    return list(dict.fromkeys(found))


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry, _ in zip(entries, range(10 * FOLDERS), strict=False)
                          if entry.is_dir() and not entry.name.startswith("."))[:FOLDERS]  # fmt: skip
    except OSError:
        return []
