"""Utterances of a data set -> a table on disk that is memory-mapped: Arrow IPC (https://arrow.apache.org/docs/format).

The source is listed once and each file looked at once: whether it is there, and how long it is where the source does
not say. The table is kept under the content of the source, so the next run opens it in milliseconds. A million rows
cost as many bytes of disk as their text and paths, and memory only while they are read.
"""

from __future__ import annotations

import functools
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voxcli.api import Dataset, Split, Utterance
from voxcli.data.cache import places, scratch, settle
from voxcli.data.files import Files
from voxcli.data.listing import FORMAT, ROWS, SCHEMA, Listing, list_utterances
from voxcli.data.measure import changed, measure
from voxcli.data.segments import stored
from voxcli.progress import NULL, Progress

log = logging.getLogger(__name__)

ABOUT_AUDIO = ("problem", "measured")  # columns that are no field of an utterance
ASKED = 256  # files whose time is looked at when an index is opened


class IndexTable:
    """The utterances of one split on disk. Opening is cheap; pickling carries the path only."""

    def __init__(self, path: Path) -> None:
        """Open an index. Raises `ValueError` or `OSError` for a file that is none."""
        self.path = path
        with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
            self._table: pa.Table = reader.read_all()
        metadata = self._table.schema.metadata or {}
        if self._table.schema.remove_metadata() != SCHEMA or metadata.get(b"format") != FORMAT:
            raise ValueError(f"{path} is no index of this version")
        self._table.validate()
        self.notes: tuple[str, ...] = tuple(json.loads(metadata[b"notes"]))
        self.made = metadata[b"made"].decode()
        """Another one for every file that was written: what was derived from this one is kept under it."""
        self._chunks = {name: self._table.column(name).chunks for name in SCHEMA.names}
        if any(len(chunk) != ROWS for chunk in self._chunks["id"][:-1]):
            raise ValueError(f"{path} has batches of uneven length")

    def __reduce__(self) -> tuple[type[IndexTable], tuple[Path]]:
        return IndexTable, (self.path,)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @functools.cached_property
    def durations(self) -> np.ndarray:
        """float32 (rows,), s; NaN where the audio cannot be read."""
        return self.column("duration").to_numpy().astype(np.float32)

    @functools.cached_property
    def n_problems(self) -> int:
        """Rows that cannot be used; `column("problem")` says why."""
        return len(self) - int(self.column("problem").null_count)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of the index, one of SCHEMA.

        `audio` is a path; where it is null, `reader` holds the pickle of a callable. `duration` is NaN where unknown.
        """
        return self._table.column(name)

    def utterance(self, row: int) -> Utterance:
        """The utterance of a row, made anew at each call."""
        row = range(len(self))[row]
        chunk, at = divmod(row, ROWS)
        values = {name: chunks[chunk][at].as_py() for name, chunks in self._chunks.items() if name not in ABOUT_AUDIO}
        path, reader, duration = values.pop("audio"), values.pop("reader"), values.pop("duration")
        values["segments"] = stored(values["segments"])
        audio: Any = pickle.loads(reader) if path is None else Path(path)
        return Utterance(audio=audio, duration=None if np.isnan(duration) else duration, **values)


def index(dataset: Dataset, split: Split, *, progress: Progress = NULL) -> IndexTable:
    """The index of a split: opened where it exists, made where it does not. A split that does not exist has no rows.

    Rows whose audio is missing or cannot be read keep their place and say why in `problem`; they are looked at again
    each time, and the index is renewed when one of their files has appeared or changed. Raises `DataError` where the
    source cannot be read at all, and where the index cannot be written.
    """
    name = _name(dataset, split)
    table = _opened(name) if name else None
    if table is None:
        with scratch(f"index/{split}.listed") as listed:
            listing = list_utterances(dataset, split, listed, digest=name is None, progress=progress)
            name = name or f"index/{type(dataset).__name__.lower()}-{split}-{listing.digest}.arrow"
            table = _opened(name) or _made(name, listed, listing, progress=progress)
    elif _outdated(table):
        since = table.path.stat().st_mtime
        table = _made(name or "", table.path, Listing(len(table), table.notes), since=since, progress=progress)
    for note in table.notes:
        _tell(note)
    return table


@functools.cache
def _tell(note: str) -> None:
    """Once a process: a split is opened more than once in a run."""
    log.warning("%s", note)


def _name(dataset: Dataset, split: Split) -> str | None:
    """The index's name in the cache; None where the data set has no fingerprint, and listing it decides."""
    fingerprint = getattr(dataset, "fingerprint", None)
    return None if fingerprint is None else f"index/{type(dataset).__name__.lower()}-{split}-{fingerprint(split)}.arrow"


def _made(name: str, listed: Path, listing: Listing, *, since: float | None = None, progress: Progress) -> IndexTable:
    with scratch(name) as beside:
        measure(listed, beside, listing, since=since, progress=progress)
        pa.default_memory_pool().release_unused()  # what batches were read and joined in: a quarter of a GB
        return IndexTable(settle(beside))


def _opened(name: str) -> IndexTable | None:
    """The index where one stands that can be read; anything else in its place is made anew."""
    for place in places(name):
        try:
            return IndexTable(place)
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            log.info("%s is made anew: %s", place, error)
    return None


def _outdated(table: IndexTable) -> bool:
    """Whether a file that could not be used when the index was made is another one now, or one of some whose duration
    was read from its header.
    """
    made = table.path.stat().st_mtime
    measured = np.flatnonzero(np.asarray(table.column("measured").to_numpy(), np.bool_))
    some = measured[:: max(1, len(measured) // ASKED)].tolist()
    audio = table.column("audio")
    if any(path is not None and changed(path, made) for path in (audio[row].as_py() for row in some)):
        return True
    if not table.n_problems:
        return False
    files = Files()
    rows = table._table.select(["audio", "problem"]).filter(pc.is_valid(table.column("problem")))
    looked_at = rows.group_by(["audio", "problem"], use_threads=False).aggregate([])
    for path, problem in zip(looked_at["audio"].to_pylist(), looked_at["problem"].to_pylist(), strict=True):
        try:
            status = None if path is None else files.status(path)
        except (OSError, ValueError):
            continue
        if status is not None and (status.st_ctime > made or problem.endswith("does not exist")):
            return True
    return False
