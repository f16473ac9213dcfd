"""Listed utterances -> the same with durations, unique ids, and the reason why a row cannot be used.

Each file of a batch is looked at once. Headers are read in threads: most of the time goes to waiting for a disk or a
network; so is the status of files, where the disk turns out to be slow.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.audio.decode import header
from voxcli.data.files import Files
from voxcli.data.listing import Listing, Table
from voxcli.errors import DataError
from voxcli.progress import NULL, Bar, Progress

THREADS = min(32, 4 * (os.cpu_count() or 1))
SLICE = 128  # files that a thread takes at once
SLOW = 50e-6  # s for the status of a file; beyond, threads are worth their overhead
KEPT = 100_000  # files whose answers are remembered from batch to batch

_Source = TypeVar("_Source", str, bytes)
_Answer = TypeVar("_Answer")
Answer = tuple[float, str | None]
"""(duration of the whole audio in s, NaN where it is not known; problem)"""


def measure(
    listed: Path, path: Path, listing: Listing, *, since: float | None = None, progress: Progress = NULL
) -> None:
    """Write the index of the rows in `listed` to `path`. Raises `DataError` where it cannot be written.

    `since`: `listed` is an index of that time, and durations of files that were changed since are read again.
    """
    names = _Names(listing)
    with (
        Table(path, listing.notes) as table,
        ThreadPoolExecutor(THREADS, "vox-headers") as threads,
        progress.task("looking at audio files", total=listing.rows, unit="files") as bar,
        pa.memory_map(str(listed)) as file,
        pa.ipc.open_file(file) as reader,
    ):
        looks = _Looks(threads, bar)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            said = np.array(batch.column("duration"), np.float64)
            measured = pc.coalesce(batch.column("measured"), pa.array(np.isnan(said)))
            if since is not None:
                said[_renewed(batch, since)] = math.nan
            durations, problems = looks(batch, said)
            columns: dict[str, Any] = {field.name: batch.column(field.name) for field in batch.schema}
            columns |= {"id": names(columns["id"]), "duration": durations, "problem": problems, "measured": measured}
            table.write(columns)


def _renewed(batch: pa.RecordBatch, since: float) -> list[int]:
    """Rows with the duration of a header that may be another one now."""
    measured = np.asarray(pc.fill_null(batch.column("measured"), False).to_numpy(zero_copy_only=False), np.bool_)
    rows = np.flatnonzero(measured).tolist()
    return [
        row
        for row, path in zip(rows, batch.column("audio").take(pa.array(rows, pa.int64())).to_pylist(), strict=True)
        if changed(path, since)
    ]


def changed(path: str | None, since: float) -> bool:
    """Whether a file was written, or put in its place, after a time; True where it is not there."""
    try:
        return path is not None and os.stat(path).st_ctime > since
    except (OSError, ValueError):
        return True


class _Looks:
    """Looks at the audio of batch after batch."""

    def __init__(self, threads: ThreadPoolExecutor, bar: Bar) -> None:
        files = Files()
        self._bar = bar
        self._status: _Each[str, str | None] = _Each(files.problem, threads, alone=True)
        self._header: _Each[str, Answer] = _Each(_header, threads)
        self._called: _Each[bytes, Answer] = _Each(_called, threads)

    def __call__(self, batch: pa.RecordBatch, durations: NDArray[np.float64]) -> tuple[pa.Array, pa.Array]:
        """The columns duration and problem; `durations` are those that are known, else NaN, and are filled in."""
        offsets = np.asarray(batch.column("offset"), np.float64)
        problems: dict[int, str] = {}
        audio = batch.column("audio")
        unknown, file = np.isnan(durations), np.asarray(audio.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        for row, problem in self._answers(self._status, audio, ~unknown & file):
            if problem is not None:
                problems[row] = problem
        self._bar.advance(int((~unknown & ~file).sum()))
        for look, column, chosen in (
            (self._header, audio, unknown & file),
            (self._called, batch.column("reader"), unknown & ~file),
        ):
            for row, (whole, problem) in self._answers(look, column, chosen):
                if problem is None and whole - offsets[row] <= 0:
                    name = audio[row].as_py()
                    problem = f"{name} is {whole:.2f} s long, and the utterance begins at {offsets[row]:.2f} s"
                if problem is None:
                    durations[row] = whole - offsets[row]
                else:
                    problems[row] = problem
        if not problems:
            return pa.array(durations), pa.nulls(len(durations), pa.string())
        return pa.array(durations), pa.array([problems.get(row) for row in range(len(durations))], pa.string())

    def _answers(self, look: _Each[Any, Any], column: pa.Array, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, Any]]:
        """(row, answer) of the chosen rows, where any answer is worth one: each source is asked once."""
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return
        encoded = (column if len(rows) == len(column) else column.take(pa.array(rows))).dictionary_encode()
        codes = np.asarray(encoded.indices)
        answers = look(encoded.dictionary.to_pylist(), np.bincount(codes), self._bar)
        if any(answer is not None for answer in answers):
            for row, code in zip(rows.tolist(), codes.tolist(), strict=True):
                yield row, answers[code]


class _Each(Generic[_Source, _Answer]):
    """A function asked about many sources, in threads where that is worth it; answers are kept for a while."""

    def __init__(self, ask: Callable[[_Source], _Answer], threads: ThreadPoolExecutor, *, alone: bool = False) -> None:
        """`alone`: begin without threads, and go on so while an answer takes less than SLOW."""
        self._ask: Callable[[_Source], _Answer] = ask
        self._threads, self._alone = threads, alone
        self._kept: dict[_Source, _Answer] = {}

    def __call__(self, sources: Sequence[_Source], rows: NDArray[np.int64], bar: Bar) -> list[_Answer]:
        """An answer for each source; `rows` says how many rows of the bar each stands for."""
        if len(self._kept) + len(sources) > KEPT:
            self._kept.clear()
        kept = self._kept
        new = [number for number, source in enumerate(sources) if source not in kept]
        bar.advance(int(rows.sum() - rows[new].sum()))
        pieces = [new[start : start + SLICE] for start in range(0, len(new), SLICE)]
        while pieces and self._alone:
            piece = pieces.pop(0)
            begin = time.perf_counter()
            kept.update((sources[number], self._ask(sources[number])) for number in piece)
            self._alone = time.perf_counter() - begin < SLOW * SLICE
            bar.advance(int(rows[piece].sum()))
        asked = self._threads.map(
            lambda piece: [(sources[number], self._ask(sources[number])) for number in piece], pieces
        )
        for piece, answers in zip(pieces, asked, strict=True):
            kept.update(answers)
            bar.advance(int(rows[piece].sum()))
        return [kept[source] for source in sources]


def _header(path: str) -> Answer:
    try:
        return header(path).duration, None
    except DataError as error:
        return math.nan, error.message


def _called(reader: bytes) -> Answer:
    try:
        return _duration_of(pickle.loads(reader)), None
    except DataError as error:
        return math.nan, error.message
    except Exception as error:  # a plugin's callable: anything may come out of it
        return math.nan, f"{type(error).__name__}: {error}"


def _duration_of(call: Callable[[], tuple[np.ndarray, int]]) -> float:
    """s. A callable may have a method `duration()` that is cheaper than reading all its audio."""
    cheap = getattr(call, "duration", None)
    if callable(cheap):
        return float(cheap())
    samples, rate = call()
    return len(samples) / rate


class _Names:
    """Gives the second utterance of an id the name 'ID#2', and so on, keeping clear of ids that exist."""

    def __init__(self, listing: Listing) -> None:
        self._repeated, self._taken = pa.array(sorted(listing.repeated), pa.string()), listing.taken
        self._count = np.zeros(len(self._repeated), np.int64)
        self._seen: dict[str, int] = {}

    def __call__(self, ids: pa.Array) -> pa.Array:
        """The ids of the next rows."""
        if not len(self._repeated):
            return ids
        which = pc.index_in(ids, value_set=self._repeated)
        again = pc.is_valid(which)
        codes = np.asarray(which.drop_null())
        if not len(codes):
            return ids
        repeated = ids.filter(again)
        named = self._numbered(repeated, codes) if not self._taken else self._one_by_one(repeated)
        return pc.replace_with_mask(ids, again, named)

    def _numbered(self, repeated: pa.Array, codes: np.ndarray) -> pa.Array:
        """`codes` says which of the repeated ids each is."""
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        begins = np.flatnonzero(np.diff(ordered, prepend=-1))
        counts = np.empty(len(codes), np.int64)
        counts[order] = np.arange(len(codes)) - np.repeat(begins, np.diff(begins, append=len(codes)))
        counts += self._count[codes] + 1
        self._count += np.bincount(codes, minlength=len(self._repeated))
        named = pc.binary_join_element_wise(repeated, pa.array(counts).cast(pa.string()), "#")
        return pc.if_else(pa.array(counts == 1), repeated, named)

    def _one_by_one(self, repeated: pa.Array) -> pa.Array:
        """The same where some of the names that would be given exist already."""
        named = []
        for id in repeated.to_pylist():
            count = self._seen[id] = self._seen.get(id, 0) + 1
            while count > 1 and f"{id}#{count}" in self._taken:
                count = self._seen[id] = count + 1
            named.append(id if count == 1 else f"{id}#{count}")
        return pa.array(named, pa.string())
