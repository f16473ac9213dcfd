"""The columns of a manifest -> those of an index: what `_Row` in `manifest.py` does to a row, for many rows at once.

What a rule changes in a few rows only (a path with "//", a name that begins with a space) is done to these rows by the
same Python that reads row by row; the other rows keep their bytes.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from voxcli.datasets.rows import Bad

MEANINGS = ("label", "speaker", "language")
UNTIDY = r"^\./|^\.$|//|/\./|/\.?$"  # paths that pathlib writes in another way
WIDE_SPACES = (0xC2, 0xE1, 0xE2, 0xE3)  # first bytes of the white space beyond ASCII, in UTF-8


def utterances(
    batches: Iterator[list[pa.Array]],
    at: dict[str, int],
    *,
    belongs: frozenset[str] | None,
    root: str,
    scale: float,
    language: str | None,
    bad: Bad,
) -> Iterator[pa.RecordBatch]:
    """Batches of the columns of an index without `reader` and `problem`.

    `at`: which array of a batch holds the audio, the text …. `belongs`: values of the split's column, in lower case;
    None takes all rows. `scale`: s in a unit of the duration's column. Rows that name no audio go to `bad`.
    Raises `NotImplementedError` for what is better read row by row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from voxcli.data import segments

    if os.sep != "/":
        raise NotImplementedError("paths are joined by the rules of POSIX")
    before = 0
    for arrays in batches:
        rows = {meaning: arrays[place] for meaning, place in at.items()}
        numbers = pa.array(range(before + 1, before + len(arrays[0]) + 1), pa.int64())
        before += len(numbers)
        for meaning in rows.keys() - {"offset", "duration"}:
            if not pa.types.is_string(rows[meaning].type):
                raise NotImplementedError(f"the {meaning} is a number")
        if belongs is not None:
            here = _each(rows["split"], functools.partial(_belongs, belongs), pa.bool_())
            rows, numbers = {meaning: array.filter(here) for meaning, array in rows.items()}, numbers.filter(here)
        named = _stripped(rows["audio"])
        if named.null_count:
            for number in numbers.filter(pc.is_null(named)).to_pylist():
                bad.add(f"row {number} names no audio")
            rows = {meaning: array.filter(pc.is_valid(named)) for meaning, array in rows.items()}
            named = named.drop_null()
        offset = pc.fill_null(_numbers(rows.get("offset"), len(named)), 0.0)
        made = {
            "id": _ids(rows.get("id"), named, offset),
            "audio": _paths(named, root),
            "offset": offset,
            "duration": _lengths(rows.get("duration"), len(named), scale),
            "text": rows.get("text", pa.nulls(len(named), pa.string())),
        }
        for meaning in MEANINGS:
            made[meaning] = (
                _each(rows[meaning], lambda value: (value or "").strip() or None, pa.string())
                if meaning in rows
                else pa.nulls(len(named), pa.string())
            )
        if "segments" in rows:
            made["segments"] = _each(rows["segments"], segments.read, pa.string())
        if language is not None:
            made["language"] = pc.fill_null(made["language"], language)
        yield pa.RecordBatch.from_pydict(made)


def _belongs(names: frozenset[str], value: str | None) -> bool:
    return (value or "").strip().lower() in names


def _each(array: pa.Array, change: Callable[[Any], Any], type: pa.DataType) -> pa.Array:
    """`change` of each value, asked once for each different one."""
    import pyarrow as pa

    encoded = array.dictionary_encode(null_encoding="encode")
    changed = pa.array([change(value) for value in encoded.dictionary.to_pylist()], type)
    return changed.take(encoded.indices)


def _stripped(array: pa.Array) -> pa.Array:
    """Without white space at both ends; null where nothing is left."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from voxcli.data.strings import layout

    array = pc.if_else(pc.equal(array, ""), None, array)
    data, offsets = layout(array)
    starts, ends = offsets[:-1], offsets[1:]
    full = np.flatnonzero(ends > starts)
    if not len(full):
        return array
    padded = np.concatenate([np.zeros(3, np.uint8), data])
    first, last = data[starts[full]], data[ends[full] - 1]
    wide = (padded[ends[full] + 1] == WIDE_SPACES[0]) | np.isin(padded[ends[full]], WIDE_SPACES[1:])
    odd = (first <= 0x20) | (last <= 0x20) | np.isin(first, WIDE_SPACES) | ((last >= 0x80) & wide)
    if not odd.any():
        return array
    mask = np.zeros(len(array), np.bool_)
    mask[full[odd]] = True
    bare = [value.strip() or None for value in array.filter(pa.array(mask)).to_pylist()]
    return pc.replace_with_mask(array, pa.array(mask), pa.array(bare, pa.string()))


def _paths(named: pa.Array, root: str) -> pa.Array:
    """`str(Path(os.path.join(root, name)))` of each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    prefix = root if root.endswith("/") else f"{root}/"
    joined = pc.if_else(pc.starts_with(named, "/"), named, pc.binary_join_element_wise(prefix, named, ""))
    untidy = pc.match_substring_regex(named, UNTIDY)
    if not pc.any(untidy).as_py():
        return joined
    tidy = [str(Path(os.path.join(root, name))) for name in named.filter(untidy).to_pylist()]
    return pc.replace_with_mask(joined, untidy, pa.array(tidy, pa.string()))


def _ids(given: pa.Array | None, named: pa.Array, offset: pa.Array) -> pa.Array:
    """The id; where there is none the path, with the offset where that is not 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = named if given is None else _stripped(given)
    made = pa.array([True] * len(named), pa.bool_()) if given is None else pc.is_null(ids)
    inside = pc.and_(made, pc.not_equal(offset, 0.0))
    ids = pc.coalesce(ids, named)
    if not pc.any(inside).as_py():
        return ids
    pairs = zip(named.filter(inside).to_pylist(), offset.filter(inside).to_pylist(), strict=True)
    return pc.replace_with_mask(ids, inside, pa.array([f"{name}@{at:g}" for name, at in pairs], pa.string()))


def _numbers(array: pa.Array | None, rows: int) -> pa.Array:
    """float64; null where a field is empty or no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if array is None:
        return pa.nulls(rows, pa.float64())
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), None, array)
    return _each(array, _number, pa.float64())


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "nan")
    except ValueError:
        return None
    return number if number == number else None


def _lengths(array: pa.Array | None, rows: int, scale: float) -> pa.Array:
    """Durations in s that can be one, else NaN."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from voxcli.data.listing import LONGEST

    seconds = np.asarray(pc.fill_null(_numbers(array, rows), math.nan), np.float64) * scale
    return pa.array(np.where((seconds > 0) & (seconds <= LONGEST), seconds, math.nan))


def places_of(at: dict[str, int]) -> tuple[Sequence[int], dict[str, int]]:
    """Columns by meaning -> the different columns, and which of these each meaning has."""
    places = sorted(set(at.values()))
    return places, {meaning: places.index(place) for meaning, place in at.items()}
