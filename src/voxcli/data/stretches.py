"""Stretches of the clips of a table -> a table of their own: pieces of long clips, short clips with silence after them.

No audio is read: a stretch names a file, a time and a duration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import Utterance
from voxcli.data.table import Table

SLACK = 1e-3  # s that a piece may be longer than it should: times are rounded
AIR = 0.2  # s of the pause on both sides of a spoken piece that stay with it

Floats = NDArray[np.float64]
Said = list[tuple[float, float, str]]
"""(start s, end s, text) of the segments of a clip."""


@dataclass(frozen=True)
class Padded:
    """The audio of a short clip with silence after it; picklable, as worker processes need it."""

    audio: Path | Callable[[], tuple[Any, int]]
    offset: float
    duration: float
    """s, of what is there."""
    total: float
    """s, with the silence."""

    def __call__(self) -> tuple[NDArray[np.float32], int]:
        """float32 (N,) or (N, channels) and the rate, Hz. Raises `DataError`."""
        from voxcli.audio.decode import decode

        samples, rate = decode(self.audio, offset=self.offset, duration=self.duration)
        missing = max(0, int(np.ceil(self.total * rate)) - len(samples))
        return np.concatenate([samples, np.zeros((missing, *samples.shape[1:]), samples.dtype)]), rate


class Stretches:
    """Stretches of the clips of a table: a source for another table, see `voxcli.data.table.Source`."""

    def __init__(
        self, table: Table, rows: NDArray[np.int64], begins: Floats, durations: Floats, ids: pa.Array, texts: pa.Array
    ) -> None:
        """`rows`: the row of each stretch; `begins`: s within its clip; `texts`: as the data have them."""
        self._table, self._rows, self._begins, self._durations = table, rows, begins, durations
        self._ids, self._texts = ids, texts

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def durations(self) -> NDArray[np.float32]:
        """s, shape (rows,)."""
        return self._durations.astype(np.float32)

    @property
    def origins(self) -> NDArray[np.int64]:
        """The data set of each row, shape (rows,)."""
        return self._table.origins[self._rows]

    def column(self, name: str) -> Any:
        """An Arrow column; that of `segments` still counts from the clip's beginning."""
        if name in ("id", "text"):
            return self._ids if name == "id" else self._texts
        taken = self._table.column(name).array.take(pa.array(self._rows))
        if name == "offset":
            return pc.cast(pa.array(np.asarray(pc.cast(taken, pa.float64())) + self._begins), pa.string())
        return pc.cast(pa.array(self._durations), pa.string()) if name == "duration" else taken

    def utterance(self, row: int) -> Utterance:
        """One stretch; one that is longer than its clip goes on with silence."""
        found = self._table.utterance(int(self._rows[row]))
        begin, duration = float(self._begins[row]), float(self._durations[row])
        there = found.duration if found.duration is not None else duration
        segments = tuple(
            one.__class__(text=one.text, start=one.start - begin, end=one.end - begin)
            for one in found.segments
            if one.start >= begin - SLACK and one.end <= begin + duration + SLACK
        )
        if duration > there + SLACK:
            audio = Padded(found.audio, found.offset, there, duration)
            return found.replace(audio=audio, offset=0.0, duration=duration, segments=segments)
        return found.replace(offset=found.offset + begin, duration=duration, segments=segments)


class Plan:
    """Which rows of a table become what; all others stay."""

    def __init__(self, table: Table, durations: Floats) -> None:
        self._table, self.durations = table, durations
        self._pieces: dict[int, list[tuple[str, float, float, str | None]]] = {}

    def one(self, row: int, begin: float, duration: float) -> None:
        """A row becomes one stretch and keeps its name and its text."""
        self._pieces[row] = [(self._table.ids[row] or "", begin, duration, self._table.originals[row])]

    def piece(self, row: int, number: int, name: str, begin: float, duration: float, text: str | None) -> None:
        """One more piece of a row."""
        if not number:
            self._pieces[row] = []
        self._pieces[row].append((name, begin, duration, text))

    def table(self, normalize: Callable[[str], str]) -> Table:
        """All rows in their order, pieces in the place of what they are of."""
        table = self._table
        counts = np.ones(len(table), np.int64)
        for row, pieces in self._pieces.items():
            counts[row] = len(pieces)
        rows = np.repeat(np.arange(len(table)), counts)
        begins, durations = np.zeros(len(rows)), np.where(self.durations < 0, np.nan, self.durations)[rows]
        ends = np.cumsum(counts)
        changed = np.zeros(len(rows), np.bool_)
        ids: list[str] = []
        originals: list[str | None] = []
        texts: list[str | None] = []
        for row in sorted(self._pieces):
            for number, (name, begin, duration, text) in enumerate(self._pieces[row]):
                at = int(ends[row]) - len(self._pieces[row]) + number
                begins[at], durations[at], changed[at] = begin, duration, True
                ids.append(name)
                originals.append(text)
                texts.append(None if text is None else normalize(text))
        mask = pa.array(changed)
        columns = [
            pc.replace_with_mask(
                column.array.take(pa.array(rows)).combine_chunks().cast(pa.string()), mask, pa.array(new, pa.string())
            )
            for column, new in ((table.ids, ids), (table.originals, originals), (table.texts, texts))
        ]
        made = Stretches(table, rows, begins, durations, columns[0], columns[1])
        return Table([made], {"text": pa.chunked_array([columns[2]])})


def spoken_pieces(segments: Said, duration: float, longest: float) -> tuple[Said, int]:
    """Segments joined to pieces of at most `longest` s, cut in the pauses; and how many segments are longer alone."""
    fitting = [one for one in segments if one[1] - one[0] <= longest and one[1] > one[0]]
    pieces: Said = []
    last: tuple[float, float] | None = None
    for number, (start, end, text) in enumerate(segments):
        if end - start > longest or end <= start:
            continue
        # a piece goes on only where the segment before is its last one: not across one that is lost
        joins = pieces and number and tuple(segments[number - 1][:2]) == last and end - pieces[-1][0] <= longest
        if joins:
            begun, _, said = pieces[-1]
            pieces[-1] = (begun, end, f"{said} {text}")
        else:
            pieces.append((start, end, text))
        last = (start, end)
    return [_aired(number, pieces, duration, longest) for number in range(len(pieces))], len(segments) - len(fitting)


def _aired(number: int, pieces: Said, duration: float, longest: float) -> tuple[float, float, str]:
    """A piece with up to AIR s of the pauses around it, where it stays short enough."""
    start, end, text = pieces[number]
    before = pieces[number - 1][1] if number else 0.0
    after = pieces[number + 1][0] if number + 1 < len(pieces) else duration
    air = max(0.0, min(AIR, (longest - (end - start)) / 2))
    left, right = max(0.0, min(air, (start - before) / 2)), max(0.0, min(air, (after - end) / 2))
    return start - left, min(end + right, duration), text
