"""Stretches of audio that stand in a data set more than once, by file and place.

Arrays only: a data set may cut a million utterances out of fifty files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.data.table import Table

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]

_SAME = 0.01  # s by which two stretches may differ and still be the same


class Repeated(NamedTuple):
    """Which rows are the same stretch of the same file as others, each of shape (rows,)."""

    again: Mask
    """Rows that repeat an earlier one with the same text."""
    differ: Mask
    """Rows of stretches that have more than one text."""


def repeated(table: Table) -> Repeated:
    """The rows of a table that stand for one stretch."""
    none = np.zeros(len(table), dtype=np.bool_)
    rows = _shared(table)
    if not len(rows):
        return Repeated(none, none.copy())
    chosen = table.select(rows)
    begins, ends = _places(chosen)
    texts = _numbers(chosen.texts.array)
    keys = (np.rint(ends / _SAME), np.rint(begins / _SAME), _numbers(chosen.column("audio").array))
    order = np.lexsort((rows, *keys))
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    starts = np.flatnonzero(new)
    sizes = np.diff([*starts, len(rows)])
    said = texts[order]
    several = np.minimum.reduceat(said, starts) != np.maximum.reduceat(said, starts)
    again, differ = none, none.copy()
    again[rows[order]] = ~new & ~np.repeat(several, sizes)
    differ[rows[order]] = np.repeat(several, sizes)
    return Repeated(again, differ)


def common(table: Table, other: Table) -> tuple[Mask, Mask]:
    """Which rows of `table` and of `other` are, at least in part, audio of the other one."""
    here, there = np.zeros(len(table), dtype=np.bool_), np.zeros(len(other), dtype=np.bool_)
    files = pc.unique(table.column("audio").array).drop_null()
    files = files.filter(pc.is_in(files, value_set=pc.unique(other.column("audio").array)))
    if not len(files):
        return here, there
    sides = [_stretches(one, files) for one in (table, other)]
    end = 10.0 + 2.0 * max(float(side[2][np.isfinite(side[2])].max(initial=0.0)) for side in sides)
    lines = [
        (rows, numbers * end + np.minimum(begins, end / 2), numbers * end + np.minimum(ends, end / 2))
        for rows, begins, ends, numbers in sides
    ]
    here[lines[0][0][_touches(lines[0][1:], lines[1][1:])]] = True
    there[lines[1][0][_touches(lines[1][1:], lines[0][1:])]] = True
    return here, there


def _touches(stretches: tuple[Floats, Floats], others: tuple[Floats, Floats]) -> Mask:
    """Which (begin, end) overlap one of the others; files lie one after the other on one line."""
    order = np.argsort(others[0], kind="stable")
    begins, reached = others[0][order], np.maximum.accumulate(others[1][order])
    before = np.searchsorted(begins, stretches[1] - _SAME, side="left")
    found: Mask = (before > 0) & (reached[np.maximum(before - 1, 0)] > stretches[0] + _SAME)
    return found


def _stretches(table: Table, files: pa.Array) -> tuple[Rows, Floats, Floats, Rows]:
    """(row, begin, end, number of the file) of the rows of some files."""
    numbers = pc.fill_null(pc.index_in(table.column("audio").array, value_set=files), -1).to_numpy()
    rows = np.flatnonzero(numbers >= 0)
    return rows, *_places(table.select(rows)), numbers[rows].astype(np.int64)


def _shared(table: Table) -> Rows:
    """Rows of files that more than one row names."""
    numbers = _numbers(table.column("audio").array)
    counts = np.bincount(numbers[numbers >= 0], minlength=1)
    if counts.max() < 2:
        return np.zeros(0, np.int64)
    return np.flatnonzero((numbers >= 0) & (counts[numbers] > 1))


def _numbers(column: pa.ChunkedArray) -> Rows:
    """A number for each value, equal where they are; -1 for null. Shape (rows,)."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _places(table: Table) -> tuple[Floats, Floats]:
    """Begin and end (s) of each row; infinity where the end is not known."""
    begins = np.asarray(pc.cast(table.column("offset").array, pa.float64()).to_numpy(), dtype=np.float64)
    ends = begins + table.durations.astype(np.float64)
    return begins, np.where(np.isfinite(ends), ends, np.inf)
