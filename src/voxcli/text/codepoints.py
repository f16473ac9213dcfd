"""An Arrow column of texts -> their characters as arrays of code points: what a million transcripts are made of, in
well under a second and without a Python string for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_ROWS = 65_536  # rows whose characters are in memory at a time
_HIGHEST = 0x110000

Mask = NDArray[np.bool_]


class Block(NamedTuple):
    """Some rows that follow each other."""

    first: int
    """Number of its first row."""
    codes: NDArray[np.uint32]
    """The code points of all its rows, one after the other."""
    ends: NDArray[np.int64]
    """Where each row ends in `codes`; shape (rows + 1,), the first entry is 0."""


class CodePoints:
    """The characters of a column of texts, row by row; a text that is missing has none."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Characters of each text, shape (rows,)."""
        return np.asarray(pc.fill_null(pc.utf8_length(self.column), 0).to_numpy(), dtype=np.int64)

    @cached_property
    def bytes(self) -> NDArray[np.int64]:
        """UTF-8 bytes of each text, shape (rows,)."""
        return np.asarray(pc.fill_null(pc.binary_length(self.column), 0).to_numpy(), dtype=np.int64)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Character -> how often it stands in the texts, by code point."""
        whole = np.zeros(0, dtype=np.int64)  # as far as the highest that occurs: few texts have all of Unicode
        for block in self.blocks():
            found = np.bincount(block.codes, minlength=len(whole))
            found[: len(whole)] += whole
            whole = found
        return {chr(code): int(whole[code]) for code in np.flatnonzero(whole)}

    def blocks(self) -> Iterator[Block]:
        """All rows, in blocks."""
        for first in range(0, len(self.column), _ROWS):
            rows = self.column.slice(first, _ROWS)
            texts = pc.fill_null(rows, "").combine_chunks()
            data = pa.concat_arrays([texts]) if texts.offset else texts
            offsets, content = data.buffers()[1], data.buffers()[2]
            bounds = np.frombuffer(offsets, dtype=np.int32)[: len(data) + 1]
            whole = b"" if content is None else memoryview(content)[int(bounds[0]) : int(bounds[-1])]
            codes = np.frombuffer(str(whole, "utf-8").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            yield Block(first, codes, np.concatenate([[0], np.cumsum(self.lengths[first : first + len(rows)])]))

    def tally(self, chosen: Callable[[str], bool] | Iterable[str]) -> NDArray[np.int64]:
        """How many of the chosen characters each text has, shape (rows,)."""
        wanted = [one for one in self.counts if chosen(one)] if callable(chosen) else list(chosen)
        found = np.zeros(len(self), dtype=np.int64)
        if not self.counts.keys() & set(wanted):
            return found
        table = np.zeros(_HIGHEST, dtype=np.bool_)
        table[[ord(one) for one in wanted]] = True
        for block in self.blocks():
            before = np.concatenate([[0], np.cumsum(table[block.codes])])
            found[block.first : block.first + len(block.ends) - 1] = np.diff(before[block.ends])
        return found

    def holding(self, chosen: Callable[[str], bool] | Iterable[str]) -> Mask:
        """Which texts have one of the chosen characters, shape (rows,)."""
        return np.asarray(self.tally(chosen) > 0)

    def repeats(self, number: Callable[[str], int] = ord) -> NDArray[np.int64]:
        """How many characters of each text have the number of the one before them, shape (rows,)."""
        table = np.zeros(_HIGHEST, dtype=np.int32)
        for one in self.counts:
            table[ord(one)] = number(one)
        found = np.zeros(len(self), dtype=np.int64)
        for block in self.blocks():
            numbers = table[block.codes]
            equal = np.zeros(len(numbers), dtype=np.bool_)
            equal[1:] = numbers[1:] == numbers[:-1]
            starts = block.ends[:-1]
            equal[starts[starts < len(numbers)]] = False
            before = np.concatenate([[0], np.cumsum(equal)])
            found[block.first : block.first + len(block.ends) - 1] = np.diff(before[block.ends])
        return found
