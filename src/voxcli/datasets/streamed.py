"""A streamed part of a data set -> its first rows in an Arrow stream file: streamed once, then read at random.

Training draws utterances in any order and again in each epoch, which a stream cannot give. What is streamed is kept,
encoded as it came: the disk holds what was taken, once, and nothing of the rest.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voxcli.errors import DataError

log = logging.getLogger(__name__)

Row = dict[str, Any]
"""Column -> value; the audio is (path, whether its bytes are in the file)."""

ROWS = 64  # rows written at once: about 10 MB of MP3


def write(rows: Any, path: Path, *, audio: str, columns: Sequence[str], take: int | None) -> Iterator[Row]:
    """Write the audio and some columns of the first `take` rows to `path`; yields each row once it is written.

    `rows` is a `Dataset` or an `IterableDataset`. Raises `DataError` where the stream breaks off or the disk is full.
    """
    import datasets

    examples = iter(rows.cast_column(audio, datasets.Audio(decode=False)))
    yield from copied(examples, path, audio=audio, columns=columns, take=take)


def copied(
    examples: Iterator[dict[str, Any]], path: Path, *, audio: str, columns: Sequence[str], take: int | None
) -> Iterator[Row]:
    """The same for rows that are being read, with their audio as it is stored; not one row more is taken of them."""
    import datasets
    import pyarrow as pa

    from voxcli.data.cache import unwritable

    stored = datasets.Audio(decode=False)
    fields = {audio: stored.pa_type, **dict.fromkeys(columns, pa.string())}
    count = 0
    try:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, pa.schema(fields)) as writer:
            while take is None or count < take:
                batch, whole = _taken(examples, ROWS if take is None else min(ROWS, take - count), audio)
                if not batch:
                    return
                texts = [pa.array([_text(row.get(name)) for row in batch], pa.string()) for name in columns]
                writer.write_batch(pa.record_batch([whole, *texts], schema=pa.schema(fields)))
                count += len(batch)
                for at, stored_row in enumerate(batch):
                    values = {name: column[at].as_py() for name, column in zip(columns, texts, strict=True)}
                    yield {**values, audio: (stored_row[audio]["path"], True)}
    except OSError as error:
        raise unwritable(path, error) from error


def _taken(examples: Iterator[dict[str, Any]], count: int, audio: str) -> tuple[list[dict[str, Any]], Any]:
    """The next rows, and their audio with its bytes, fetched where a row has but a path. Raises `DataError`."""
    import datasets
    import pyarrow as pa

    from voxcli.datasets.hub import as_stored

    stored = datasets.Audio(decode=False)
    try:
        with as_stored():
            rows = list(itertools.islice(examples, count))
        return rows, stored.embed_storage(pa.array([row[audio] for row in rows], stored.pa_type))
    except Exception as error:  # whatever the network or a file of the data set raises
        raise DataError(
            f"the stream broke off: {type(error).__name__}: {error}", help="start again: streaming begins anew"
        ) from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
