"""A data set's utterances, one after the other -> an Arrow file with their columns, and what has to be said of them.

Only a batch of rows is held at a time; of the ids, 8 bytes each.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import pickle
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from voxcli.api import Dataset, Split, Utterance
from voxcli.data.cache import unwritable
from voxcli.errors import DataError
from voxcli.progress import NULL, Bar, Progress

ROWS = 8192  # rows in a batch of the file; every batch but the last has as many
TOLD = 64  # utterances after which the bar moves
FORMAT = b"voxcli index 1"  # raised when the columns or their meaning change

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
        "problem": pa.string(),  # why the row cannot be used, null where it can
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
    digest: str = ""
    """Hash of all rows."""
    hashes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    """Hashes of all ids, sorted; valid in this process only."""


class Table:
    """An index file being written, batch by batch."""

    def __init__(self, path: Path, notes: Sequence[str] = ()) -> None:
        metadata = {b"format": FORMAT, b"notes": json.dumps(list(notes)).encode()}
        self.path = path
        try:
            self._file = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_file(self._file, SCHEMA.with_metadata(metadata))
        except OSError as error:
            raise unwritable(path, error) from error

    def write(self, columns: Mapping[str, Sequence[Any] | pa.Array]) -> None:
        """Append at most ROWS rows. Raises `DataError` where the disk does not take them."""
        arrays = [_array(columns[field.name], field.type) for field in SCHEMA]
        try:
            self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
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


def list_utterances(dataset: Dataset, split: Split, path: Path, *, progress: Progress = NULL) -> Listing:
    """Write the utterances of a split to `path`, in their order. Raises `DataError` where the source cannot be read."""
    digest, hashes = hashlib.blake2b(digest_size=16), array("q")
    utterances = iter(dataset.utterances(split))
    with Table(path) as table, progress.task(f"listing the {split} split", unit="utterances") as bar:
        while batch := list(_counted(itertools.islice(utterances, ROWS), bar)):
            columns = _columns(batch)
            for row in zip(*columns.values(), strict=True):
                digest.update(repr(row).encode("utf-8", "backslashreplace"))
            hashes.extend(map(hash, columns["id"]))
            table.write(columns)
    repeated, notes = _repeated(path, np.frombuffer(hashes, np.int64) if hashes else np.zeros(0, np.int64), split)
    return Listing(len(hashes), notes, repeated, digest.hexdigest(), np.sort(np.array(hashes, np.int64)))


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
        "problem": [None] * len(batch),
    }


def _length(duration: float | None) -> float:
    """A duration that can be one, else NaN: the header decides."""
    return duration if duration is not None and 0 < duration < math.inf else math.nan


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


def _repeated(path: Path, hashes: np.ndarray, split: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Ids that occur more than once, and the note about them; the file is read again only if there are any."""
    values, counts = np.unique(hashes, return_counts=True)
    if len(values) == len(hashes):
        return frozenset(), ()
    suspects = set(values[counts > 1].tolist())
    seen: dict[str, int] = {}
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            for id in reader.get_batch(number).column("id").to_pylist():
                if hash(id) in suspects:
                    seen[id] = seen.get(id, 0) + 1
    repeated = {id: count for id, count in seen.items() if count > 1}
    if not repeated:
        return frozenset(), ()
    named = ", ".join(f"'{id}' ({count} times)" for id, count in itertools.islice(repeated.items(), 3))
    many = f"{len(repeated)} ids stand" if len(repeated) > 1 else "1 id stands"
    note = f"{many} for more than one utterance of the {split} split: {named}; later ones are called 'ID#2', 'ID#3' …"
    return frozenset(repeated), (note,)
