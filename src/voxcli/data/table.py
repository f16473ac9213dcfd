"""Indexed splits -> one table of utterances that costs a few bytes a row, however many rows there are.

The columns stay where the index put them (memory-mapped Arrow files); a table adds the normalised texts as one Arrow
column and its selection of rows as one array. An `Utterance` is made when a row is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import Utterance
from voxcli.data.normalized import normalized
from voxcli.data.strings import blocks, chunked, layout
from voxcli.progress import NULL, Progress

Rows = NDArray[np.int64]
_CHUNK = 8192  # rows that are Python strings at a time


class Source(Protocol):
    """One indexed split of one data set: what `voxcli.data.index.index` returns."""

    @property
    def durations(self) -> NDArray[np.float32]:
        """s, shape (rows,); NaN where the audio cannot be read."""
        ...

    def __len__(self) -> int: ...

    def column(self, name: str) -> Any:
        """An Arrow column."""
        ...

    def utterance(self, row: int) -> Utterance:
        """One row."""
        ...


class Strings(Sequence[str | None]):
    """An Arrow column of strings, seen through a selection of rows. Python strings exist while they are looked at."""

    def __init__(self, column: pa.ChunkedArray, rows: Rows) -> None:
        self._column, self._rows = column, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> Strings: ...
    def __getitem__(self, index: int | slice) -> str | Strings | None:
        if isinstance(index, slice):
            return Strings(self._column, self._rows[index])
        found: str | None = self._column[int(self._rows[index])].as_py()
        return found

    def __iter__(self) -> Iterator[str | None]:
        for start in range(0, len(self._rows), _CHUNK):
            yield from self._column.take(pa.array(self._rows[start : start + _CHUNK])).to_pylist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Strings({list(self[:3])}{' …' if len(self) > 3 else ''}, {len(self)} rows)"

    @property
    def bytes(self) -> NDArray[np.int64]:
        """UTF-8 bytes of each string, 0 for None, shape (rows,). No string is read for it."""
        lengths = pc.fill_null(pc.binary_length(self._column), 0).to_numpy()
        return np.asarray(lengths, np.int64)[self._rows]

    def select(self, chosen: NDArray[np.bool_]) -> Strings:
        """Some of them, by a mask."""
        return Strings(self._column, self._rows[chosen])

    @property
    def array(self) -> pa.ChunkedArray:
        """The selected rows as an Arrow column; all rows in their order are not copied."""
        rows = self._rows
        if not (np.diff(rows) > 0).all():
            return self._column.take(pa.array(rows))
        if len(rows) == len(self._column):
            return self._column
        mask = np.zeros(len(self._column), np.bool_)
        mask[rows] = True
        return self._column.filter(pa.array(mask))  # piece by piece; `take` would first copy the whole column


class Table:
    """Utterances of one split, with their transcripts after `[text]`."""

    def __init__(
        self,
        sources: Sequence[Source],
        own: dict[str, pa.ChunkedArray],
        rows: Rows | None = None,
        numbers: Sequence[int] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """`own` holds the columns that differ from the sources': the texts, and the ids where some had to change.
        `numbers`: which data set of the recipe each source is of, counted from 0; None means in their order.
        `fingerprint` is the table's where it is known already.
        """
        self._sources = tuple(sources)
        self._numbers = tuple(range(len(self._sources)) if numbers is None else numbers)
        self._own = own
        self._read: dict[str, pa.ChunkedArray] = {}
        self._fingerprint = fingerprint
        self._starts = np.cumsum([0, *(len(source) for source in sources)])
        self._rows = np.arange(self._starts[-1], dtype=np.int64) if rows is None else rows

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process needs: the sources go as their paths, what was derived is derived again."""
        kept = ("_sources", "_numbers", "_own", "_starts", "_rows", "_fingerprint")
        return {**{name: self.__dict__[name] for name in kept}, "_read": {}}

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Table({len(self)} utterances, {self.duration:.1f} s)"

    @cached_property
    def durations(self) -> NDArray[np.float32]:
        """s, shape (rows,)."""
        every = [np.asarray(source.durations, dtype=np.float32) for source in self._sources]
        joined = np.concatenate([np.zeros(0, dtype=np.float32), *every])
        return joined[self._rows]

    @property
    def origins(self) -> NDArray[np.int64]:
        """Which data set of the recipe each row is of, counted from 0, shape (rows,)."""
        every = [
            np.asarray(found, np.int64) if (found := getattr(source, "origins", None)) is not None
            else np.full(len(source), number, np.int64)
            for source, number in zip(self._sources, self._numbers, strict=True)
        ]  # fmt: skip
        return np.concatenate([np.zeros(0, np.int64), *every])[self._rows]

    @property
    def duration(self) -> float:
        """Sum of the known durations, s."""
        return float(np.nansum(self.durations, dtype=np.float64))

    @property
    def ids(self) -> Strings:
        """Ids, unique over all data sets of the split."""
        return self.column("id")

    @property
    def texts(self) -> Strings:
        """Transcripts after `[text]`; None where there is none."""
        return self.column("text")

    @property
    def originals(self) -> Strings:
        """Transcripts as the data sets hold them, before `[text]`."""
        if "original" not in self._read:
            self._read["original"] = chunked([source.column("text") for source in self._sources])
        return Strings(self._read["original"], self._rows)

    def column(self, name: str) -> Strings:
        """`id`, `text`, `label`, `speaker`, `language` or `problem`, row by row."""
        return Strings(self._column(name), self._rows)

    def utterance(self, row: int) -> Utterance:
        """One utterance, its text normalised."""
        place = int(self._rows[row])
        source = int(np.searchsorted(self._starts, place, side="right")) - 1
        found = self._sources[source].utterance(place - int(self._starts[source]))
        return found.replace(
            id=self._column("id")[place].as_py(),
            text=self._column("text")[place].as_py(),
            previous=self._previous(found, source, place),
        )

    def _previous(self, utterance: Utterance, source: int, place: int) -> str | None:
        """The text of the row before, where it is of the same file and begins earlier: what was said just before."""
        if utterance.offset <= 0 or place == self._starts[source] or callable(utterance.audio):
            return None
        before = self._sources[source].utterance(place - 1 - int(self._starts[source]))
        if before.audio != utterance.audio or before.offset >= utterance.offset:
            return None
        found: str | None = self._column("text")[place - 1].as_py()
        return found

    def __iter__(self) -> Iterator[Utterance]:
        for row in range(len(self)):
            yield self.utterance(row)

    def select(self, chosen: NDArray[np.bool_] | Rows | Sequence[int]) -> Table:
        """Some rows, by a mask or by their numbers and in their order. Copies nothing but the selection; a mask that
        takes every row makes no other table.
        """
        chosen = np.asarray(chosen)
        whole = chosen.dtype == np.bool_ and bool(chosen.all())
        rows = self._rows[chosen if chosen.dtype == np.bool_ else chosen.astype(np.int64)]
        return self if whole else Table(self._sources, self._own, rows, self._numbers)

    def restored(self, mask: NDArray[np.bool_], fingerprint: str | None = None) -> Table:
        """The rows of a mask, and what is known to be their fingerprint."""
        return Table(self._sources, self._own, self._rows[mask], self._numbers, fingerprint)

    def mask_in(self, whole: Table) -> NDArray[np.bool_] | None:
        """Which rows of a table `restored` makes this one of; None where it is another table's."""
        if self._sources != whole._sources or self._own is not whole._own or len(self) > len(whole):
            return None
        mask = np.zeros(len(whole), np.bool_)
        mask[self._rows] = True
        return mask if np.array_equal(whole._rows, np.arange(len(whole))) else None

    @property
    def made_of(self) -> tuple[tuple[int, str], ...] | None:
        """(data set, file) of what it holds every row of; None where it is a part, or not all of it is an index."""
        made = [getattr(source, "made", "") for source in self._sources]
        whole = len(self) == self._starts[-1] and all(made)
        return tuple(zip(self._numbers, made, strict=True)) if whole else None

    def _column(self, name: str) -> pa.ChunkedArray:
        """A column over all rows of all sources; theirs are mapped, not copied."""
        if name in self._own:
            return self._own[name]
        if name not in self._read:
            self._read[name] = chunked([source.column(name) for source in self._sources])
        return self._read[name]

    @property
    def fingerprint(self) -> str:
        """Hash of ids, texts and durations in their order: equal when a run would see the same data."""
        if self._fingerprint is None:
            self._fingerprint = self._hashed()
        return self._fingerprint

    def _hashed(self) -> str:
        digest = hashlib.blake2b(self.durations.tobytes(), digest_size=16)
        for name in ("id", "text"):
            for block in blocks(self.column(name).array):
                ended = pc.fill_null(pc.binary_join_element_wise(block, "", "\1"), "\0")
                digest.update(layout(ended)[0].tobytes())
        return digest.hexdigest()


def join(
    sources: Sequence[Source],
    *,
    normalize: Callable[[str], str],
    numbers: Sequence[int] | None = None,
    progress: Progress = NULL,
) -> Table:
    """One table of several indexed splits, in their order; `numbers` as in `Table`.

    Where an id stands in two of them, the later one becomes "id@2", its data set's place in the recipe counted from 1.
    """
    own = {"text": normalized(sources, normalize, progress=progress)}
    if len(sources) > 1:
        own["id"] = _distinct(chunked([source.column("id") for source in sources]), [len(source) for source in sources])
    return Table(sources, own, numbers=numbers)


def _distinct(ids: pa.ChunkedArray, lengths: Sequence[int]) -> pa.ChunkedArray:
    if pc.count_distinct(ids).as_py() == len(ids):
        return ids
    parts, start = [], 0
    seen: pa.Array | None = None
    for number, length in enumerate(lengths, start=1):
        part = ids.slice(start, length).combine_chunks()
        start += length
        if seen is not None:
            again = pc.is_in(part, value_set=seen)
            part = pc.if_else(again, pc.binary_join_element_wise(part, str(number), "@"), part)
        parts.append(part)
        seen = part if seen is None else pa.concat_arrays([seen, part])
    return pa.chunked_array(parts, type=pa.string())
