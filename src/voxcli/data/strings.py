"""An Arrow column of strings -> what numpy can say of all its rows at once, without a Python string for each.

Offsets and bytes are those of Arrow's layout (https://arrow.apache.org/docs/format/Columnar.html): row i is
`data[offsets[i]:offsets[i + 1]]`, UTF-8, and a null has no bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

BLOCK = 1 << 15  # rows looked at together: arrays of them fit a processor's cache
HASHED = 1 << 12  # rows that are hashed together: 8 bytes for each of their bytes, several times
CODES = 0x110000  # code points of Unicode

_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)  # odd, hence invertible modulo 2**64
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))


def blocks(column: pa.Array | pa.ChunkedArray, rows: int = BLOCK) -> Iterator[pa.StringArray]:
    """The column in pieces of at most `rows` rows, in order."""
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        for start in range(0, len(chunk), rows):
            yield chunk.slice(start, rows)


def chunked(columns: Sequence[Any]) -> pa.ChunkedArray:
    """Several columns as one of strings, one after the other; what is of strings already is not copied."""
    chunks: list[pa.Array] = []
    for column in columns:
        typed = pc.cast(column, pa.string())
        chunks += typed.chunks if isinstance(typed, pa.ChunkedArray) else [typed]
    return pa.chunked_array(chunks, type=pa.string())


def layout(array: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(bytes, offsets into them) of an array of strings; offsets begin at 0 and have one entry more than rows."""
    _, offsets, data = array.buffers()
    if not len(array) or offsets is None:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    places = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    whole = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return whole[places[0] : places[-1]], places - places[0]


def among(values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values stand among the others: `np.isin` by sorting, many times as fast for a million."""
    ordered = np.sort(others)
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered[places] == values
    return found


def different(values: NDArray[Any]) -> int:
    """How many different values there are; `np.unique` takes many times as long for a million."""
    ordered = np.sort(values)
    return int(len(ordered) > 0) + int((ordered[1:] != ordered[:-1]).sum())


def hashes(column: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """64 bits for each row, equal for equal strings in every process; nulls and empty strings have the same.

    A polynomial of the bytes, mixed (splitmix64): for telling apart what nobody chose in order to collide.
    """
    found = [_hashed(block) for block in blocks(column, HASHED)]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _hashed(block: pa.StringArray) -> NDArray[np.uint64]:
    data, offsets = layout(block)
    with np.errstate(over="ignore"):
        powers = _powers(_BASE, len(data))
        sums = np.zeros(len(data) + 1, np.uint64)
        np.cumsum((data.astype(np.uint64) + np.uint64(1)) * powers[:-1], out=sums[1:])
        starts = offsets[:-1]
        mixed = (sums[offsets[1:]] - sums[starts]) * _powers(_INVERSE, len(data))[starts]
        mixed ^= np.diff(offsets).astype(np.uint64) * _BASE
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))


_known_powers: dict[int, NDArray[np.uint64]] = {}


def _powers(base: np.uint64, up_to: int) -> NDArray[np.uint64]:
    """base**0 … base**up_to modulo 2**64."""
    known = _known_powers.get(int(base))
    if known is None or len(known) <= up_to:
        known = np.full(up_to + up_to // 2 + 2, base, np.uint64)
        known[0] = 1
        np.cumprod(known, out=known)
        _known_powers[int(base)] = known
    return known[: up_to + 1]


def code_points(text: str, least: int = CODES) -> NDArray[np.int64]:
    """How often each code point stands in a text, shape (CODES,); with `least` as far as the highest of the text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.bincount(codes, minlength=least)


def characters(column: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Every character of a column with its count, by code point."""
    counts = np.zeros(0x80, np.int64)
    for block in blocks(column):
        data, _ = layout(block)
        if not len(data):
            continue
        if data.max() < 0x80:
            counts[:0x80] += np.bincount(data, minlength=0x80)
        else:
            found = code_points(data.tobytes().decode("utf-8", "surrogatepass"), len(counts))
            found[: len(counts)] += counts
            counts = found
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def by_lines(
    block: pa.StringArray,
    lines: Callable[[str], str] | None,
    one: Callable[[str], str],
    *,
    alone: str = "",
) -> pa.StringArray:
    """A change of each string that is not null, made to all of them at once where that is the same.

    `lines` takes them one a line, `one` those that hold a newline or match the pattern `alone`.
    """
    apart = pc.match_substring_regex(block, f"{alone}|\n" if alone else "\n")
    if lines is None or pc.any(apart).as_py():
        chosen = apart if lines is not None else pc.is_valid(block)
        changed = pa.array([one(text) for text in block.filter(chosen).to_pylist()], pa.string())
        if lines is None:
            return pc.replace_with_mask(block, chosen, changed)
        rest = by_lines(pc.if_else(apart, None, block), lines, one)
        return pc.replace_with_mask(rest, pc.fill_null(apart, False), changed)
    if not len(block) - block.null_count:
        return block
    before = joined(block)
    after = lines(before)
    if after == before:
        return block
    made = pa.array(after.split("\n"), pa.string())
    return pc.replace_with_mask(block, pc.is_valid(block), made)


def joined(block: pa.StringArray) -> str:
    """The rows of a block that are not null, one a line."""
    rows = block.drop_null()
    text: str = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), "\n")[0].as_py()
    return text
