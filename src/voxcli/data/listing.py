"""A data set's utterances, one after the other or as columns -> an Arrow file, and what has to be said of them.

Only a batch of rows is held at a time; of the ids, 8 bytes each.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import pickle
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voxcli.api import Dataset, Split, Utterance
from voxcli.data import segments, strings
from voxcli.data.cache import unwritable
from voxcli.errors import DataError
from voxcli.progress import NULL, Bar, Progress

log = logging.getLogger(__name__)

ROWS = 32768  # rows in a batch of the file; every batch but the last has as many
LONGEST = 24 * 3600.0  # s that one utterance can be said to last: what is said beyond is samples or milliseconds
TOLD = 64  # utterances after which the bar moves
FORMAT = b"voxcli index 4"  # raised when the columns or their meaning change

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "audio": pa.string(),  # a path, or null where `reader` is set
        "reader": pa.binary(),  # pickle of the callable that returns the audio
        "offset": pa.float64(),  # s
        "duration": pa.float64(),  # s, NaN where not known
        "text": pa.string(),
        "label": pa.string(),
        "speaker": pa.string(),
        "language": pa.string(),
        "segments": pa.string(),  # JSON of (start, end, text), see voxcli.data.segments
        "problem": pa.string(),  # why the row cannot be used, null where it can
        "measured": pa.bool_(),  # whether the duration is the header's and not the source's; null while it is listed
    }
)


@dataclass(frozen=True)
class Listing:
    """What is known once all utterances have been listed."""

    rows: int
    notes: tuple[str, ...] = ()
    """What a person should be told about the source, one line each."""
    repeated: frozenset[str] = frozenset()
    """Ids that more than one row has."""
    taken: frozenset[str] = frozenset()
    """Ids that end as those do that repeated ones are given: "x#2"."""
    digest: str = ""
    """Hash of all rows; "" where none was asked for."""


class Table:
    """An index file being written, batch by batch."""

    def __init__(self, path: Path, notes: Sequence[str] = ()) -> None:
        metadata = {
            b"format": FORMAT,
            b"notes": json.dumps(list(notes)).encode(),
            b"made": secrets.token_hex(16).encode(),
        }
        self.path = path
        try:
            self._file = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_file(self._file, SCHEMA.with_metadata(metadata))
        except OSError as error:
            raise unwritable(path, error) from error

    def write(self, rows: pa.RecordBatch | Mapping[str, Sequence[Any] | pa.Array]) -> None:
        """Append at most ROWS rows. Raises `DataError` where the disk does not take them."""
        batch = rows if isinstance(rows, pa.RecordBatch) else _batch(rows)
        try:
            self._writer.write_batch(batch)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
            self._file.close()
        except OSError as failure:
            if error is None:
                raise unwritable(self.path, failure) from failure


def list_utterances(
    dataset: Dataset, split: Split, path: Path, *, digest: bool = True, progress: Progress = NULL
) -> Listing:
    """Write the utterances of a split to `path`, in their order. Raises `DataError` where the source cannot be read."""
    columns = getattr(dataset, "columns", None)
    if columns is not None:
        try:
            with progress.task(f"listing the {split} split", unit="utterances") as bar:
                return _listed(_evened(columns(split), bar), split, path, digest=digest)
        except NotImplementedError as reason:
            log.debug("the %s split of %s is read row by row: %s", split, type(dataset).__name__, reason)
    with progress.task(f"listing the {split} split", unit="utterances") as bar:
        utterances = iter(dataset.utterances(split))
        batches = iter(lambda: list(_counted(itertools.islice(utterances, ROWS), bar)), [])
        return _listed((_batch(_columns(batch)) for batch in batches), split, path, digest=digest)


def _listed(batches: Iterable[pa.RecordBatch], split: Split, path: Path, *, digest: bool) -> Listing:
    """`batches` have the columns of the index, ROWS rows each but the last."""
    content, hashes = hashlib.blake2b(digest_size=16), [np.zeros(0, np.uint64)]
    with Table(path) as table:
        for batch in batches:
            if digest:
                content.update(batch.serialize())
            hashes.append(strings.hashes(batch.column("id")))
            table.write(batch)
    every = np.concatenate(hashes)
    repeated, taken, notes = _repeated(path, every, split)
    return Listing(len(every), notes, repeated, taken, content.hexdigest() if digest else "")


def _evened(batches: Iterable[pa.RecordBatch], bar: Bar) -> Iterator[pa.RecordBatch]:
    """Batches of any length, with some of the columns -> ROWS rows each, with all of them."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        bar.advance(len(batch))
        have = set(batch.schema.names)
        missing = pa.nulls(len(batch), pa.string())
        arrays = [batch.column(f.name) if f.name in have else missing.cast(f.type) for f in SCHEMA]
        held.append(pa.record_batch(arrays, schema=SCHEMA))
        rows += len(batch)
        while rows >= ROWS:
            whole = pa.concat_batches(held)
            yield whole.slice(0, ROWS)
            held, rows = [whole.slice(ROWS)], rows - ROWS
    if rows:
        yield pa.concat_batches(held)


def _counted(utterances: Iterator[Utterance], bar: Bar) -> Iterator[Utterance]:
    """The same, with the bar moving: the rows of a stream come slowly."""
    count = 0
    for count, utterance in enumerate(utterances, 1):
        yield utterance
        if count % TOLD == 0:
            bar.advance(TOLD)
    bar.advance(count % TOLD)


def _columns(batch: list[Utterance]) -> dict[str, list[Any]]:
    files = [callable(utterance.audio) for utterance in batch]
    return {
        "id": [utterance.id for utterance in batch],
        "audio": [None if called else str(u.audio) for u, called in zip(batch, files, strict=True)],
        "reader": [_pickled(u) if called else None for u, called in zip(batch, files, strict=True)],
        "offset": [utterance.offset for utterance in batch],
        "duration": [_length(utterance.duration) for utterance in batch],
        "text": [utterance.text for utterance in batch],
        "label": [utterance.label for utterance in batch],
        "speaker": [utterance.speaker for utterance in batch],
        "language": [utterance.language for utterance in batch],
        "segments": [segments.kept(utterance.segments) for utterance in batch],
        "problem": [None] * len(batch),
        "measured": [None] * len(batch),
    }


def _length(duration: float | None) -> float:
    """A duration that can be one, else NaN: the header decides."""
    return duration if duration is not None and 0 < duration <= LONGEST else math.nan


def _pickled(utterance: Utterance) -> bytes:
    try:
        return pickle.dumps(utterance.audio)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DataError(
            f"the audio of utterance '{utterance.id}' cannot be handed to other processes: {error}",
            help="Utterance.audio has to be a path or a picklable callable: a small class, not a lambda",
        ) from error


def _array(values: Sequence[Any] | pa.Array, type: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values, type)
    except UnicodeEncodeError:  # lone surrogates, as "\ud800" in JSON: there is no UTF-8 for them
        return pa.array([v and v.encode("utf-8", "replace").decode() for v in values], type)


def _batch(columns: Mapping[str, Sequence[Any] | pa.Array]) -> pa.RecordBatch:
    return pa.record_batch([_array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _repeated(path: Path, hashes: np.ndarray, split: str) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """Ids that occur more than once, those they must not be called, and the note about them.

    The file is read again only if there may be any.
    """
    ordered = np.sort(hashes)
    suspects = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(suspects):
        return frozenset(), frozenset(), ()
    seen: Counter[str] = Counter()
    numbered: list[str] = []
    start = 0
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            ids = reader.get_batch(number).column("id")
            suspect = strings.among(hashes[start : start + len(ids)], suspects)
            start += len(ids)
            for counted in pc.value_counts(ids.filter(pa.array(suspect))).to_pylist():
                seen[counted["values"]] += counted["counts"]
            numbered += ids.filter(pc.match_substring_regex(ids, "#[0-9]+$")).to_pylist()
    repeated = {id: count for id, count in seen.items() if count > 1}
    if not repeated:
        return frozenset(), frozenset(), ()
    named = ", ".join(f"'{id}' ({count} times)" for id, count in itertools.islice(repeated.items(), 3))
    many = f"{len(repeated)} ids stand" if len(repeated) > 1 else "1 id stands"
    note = f"{many} for more than one utterance of the {split} split: {named}; later ones are called 'ID#2', 'ID#3' …"
    taken = frozenset(id for id in numbered if id.rpartition("#")[0] in repeated)
    return frozenset(repeated), taken, (note,)
