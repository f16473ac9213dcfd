"""Listed utterances -> the same with durations, unique ids, and the reason why a row cannot be used.

Files are looked at in threads: most of the time goes to waiting for a disk or a network.
"""

from __future__ import annotations

import math
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from voxcli.audio.decode import check, header
from voxcli.data.listing import Listing, Table
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress

THREADS = min(32, 4 * (os.cpu_count() or 1))
SLICE = 256  # rows that a thread takes at once
AHEAD = 4  # batches in work at the same time

Row = tuple[str | None, bytes | None, float, float]
"""Path, pickled callable, offset (s), duration (s, NaN where not known)."""


def measure(listed: Path, path: Path, listing: Listing, *, progress: Progress = NULL) -> None:
    """Write the index of the rows in `listed` to `path`. Raises `DataError` where it cannot be written."""
    name = _Names(listing)
    with (
        Table(path, listing.notes) as table,
        ThreadPoolExecutor(THREADS, "vox-headers") as threads,
        progress.task("looking at audio files", total=listing.rows, unit="files") as bar,
    ):
        for batch, parts in _started(listed, threads):
            durations: list[float] = []
            problems: list[str | None] = []
            for part in parts:
                for duration, problem in part.result():
                    durations.append(duration)
                    problems.append(problem)
                bar.advance(len(part.result()))
            columns: dict[str, Any] = {field.name: batch.column(field.name) for field in batch.schema}
            if listing.repeated:
                columns["id"] = [name(id) for id in columns["id"].to_pylist()]
            table.write({**columns, "duration": durations, "problem": problems})


Answers = list[tuple[float, str | None]]


def _started(listed: Path, threads: ThreadPoolExecutor) -> Iterator[tuple[pa.RecordBatch, list[Future[Answers]]]]:
    """Batches in their order, a few of them already in work."""
    waiting: deque[tuple[pa.RecordBatch, list[Future[Answers]]]] = deque()
    with pa.memory_map(str(listed)) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            rows = list(
                zip(*(batch.column(c).to_pylist() for c in ("audio", "reader", "offset", "duration")), strict=True)
            )
            parts = [threads.submit(_examine, rows[at : at + SLICE]) for at in range(0, len(rows), SLICE)]
            waiting.append((batch, parts))
            if len(waiting) == AHEAD:
                yield waiting.popleft()
        yield from waiting


def _examine(rows: list[Row]) -> Answers:
    """(duration in s, problem) of each row. Rows of one file that follow each other look at it once."""
    answers: Answers = []
    last: tuple[str | None, bool] = (None, False)
    whole, problem = math.nan, None
    for path, reader, offset, duration in rows:
        known = not math.isnan(duration)
        if path is None or (path, known) != last:
            whole, problem = _looked_at(path, reader, known)
            last = (path, known)
        if problem is not None:
            answers.append((duration, problem))
        elif known:
            answers.append((duration, None))
        elif whole - offset <= 0:
            answers.append((math.nan, f"{path} is {whole:.2f} s long, and the utterance begins at {offset:.2f} s"))
        else:
            answers.append((whole - offset, None))
    return answers


def _looked_at(path: str | None, reader: bytes | None, known: bool) -> tuple[float, str | None]:
    """(duration of the whole audio in s where it had to be found out, problem)."""
    if path is None:
        return (math.nan, None) if known else _called(reader or b"")
    try:
        if known:
            check(path)
            return math.nan, None
        return header(path).duration, None
    except DataError as error:
        return math.nan, error.message


def _called(reader: bytes) -> tuple[float, str | None]:
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
        self._repeated, self._hashes = listing.repeated, listing.hashes
        self._count: dict[str, int] = {}

    def __call__(self, id: str) -> str:
        if id not in self._repeated:
            return id
        count = self._count[id] = self._count.get(id, 0) + 1
        if count == 1:
            return id
        while self._exists(f"{id}#{count}"):
            count = self._count[id] = count + 1
        return f"{id}#{count}"

    def _exists(self, id: str) -> bool:
        at = int(np.searchsorted(self._hashes, hash(id)))
        return at < len(self._hashes) and self._hashes[at] == hash(id)
