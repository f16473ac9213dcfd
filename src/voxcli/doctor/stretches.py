"""Stretches of audio that stand in a data set more than once, by file and place."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.data.table import Table

Rows = NDArray[np.int64]

_SAME = 0.01  # s by which two stretches may differ and still be the same


def repeated(table: Table) -> list[Rows]:
    """Groups of rows that are the same stretch of the same file, each in the order of the table."""
    rows = _shared(table)
    if not len(rows):
        return []
    chosen = table.select(rows)
    files, begins, ends = _places(chosen)
    groups: dict[tuple[str, int, int], list[int]] = {}
    for row, file, begin, end in zip(rows, files, begins, ends, strict=True):
        groups.setdefault((file, round(begin / _SAME), round(end / _SAME)), []).append(int(row))
    return [np.asarray(group, dtype=np.int64) for group in groups.values() if len(group) > 1]


def common(table: Table, other: Table) -> tuple[Rows, Rows]:
    """(rows of `table`, rows of `other`) that are, at least in part, the same audio."""
    here, there = table.column("audio").array, other.column("audio").array
    both = pc.unique(here.filter(pc.is_in(here, value_set=pc.unique(there)))).drop_null()
    if not len(both):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    mine = np.flatnonzero(pc.is_in(here, value_set=both).to_numpy())
    theirs = np.flatnonzero(pc.is_in(there, value_set=both).to_numpy())
    stretches: dict[str, list[tuple[float, float, int]]] = {}
    for row, file, begin, end in zip(theirs, *_places(other.select(theirs)), strict=True):
        stretches.setdefault(file, []).append((float(begin), float(end), int(row)))
    found: set[int] = set()
    found_there: set[int] = set()
    for row, file, begin, end in zip(mine, *_places(table.select(mine)), strict=True):
        for first, last, place in stretches.get(file, ()):
            if min(float(end), last) - max(float(begin), first) > _SAME:
                found.add(int(row))
                found_there.add(place)
    return np.asarray(sorted(found), dtype=np.int64), np.asarray(sorted(found_there), dtype=np.int64)


def _shared(table: Table) -> Rows:
    """Rows of files that more than one row names."""
    files = table.column("audio").array
    encoded = pc.dictionary_encode(files).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    numbers = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    counts = np.bincount(numbers[numbers >= 0], minlength=1)
    if not len(numbers) or counts.max() < 2:
        return np.zeros(0, np.int64)
    return np.flatnonzero((numbers >= 0) & (counts[numbers] > 1))


def _places(table: Table) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """File, begin and end (s) of each row; infinity where the end is not known."""
    begins = np.asarray(pc.cast(table.column("offset").array, pa.float64()).to_numpy(), dtype=np.float64)
    ends = begins + table.durations.astype(np.float64)
    return table.column("audio").array.to_pylist(), begins, np.where(np.isfinite(ends), ends, np.inf)
