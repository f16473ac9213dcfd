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

ROWS = 64  # rows written at once: about 10 MB of MP3


def write(rows: Any, path: Path, *, audio: str, columns: Sequence[str], take: int | None) -> Iterator[int]:
    """Write the audio and some columns of the first `take` rows to `path`; yields how many are written, as it goes.

    `rows` is a `Dataset` or an `IterableDataset`. Raises `DataError` where the stream breaks off or the disk is full.
    """
    import datasets
    import pyarrow as pa

    from voxcli.data.cache import unwritable
    from voxcli.datasets.hub import as_stored

    stored = datasets.Audio(decode=False)
    examples = iter(rows.cast_column(audio, stored))
    fields = {audio: stored.pa_type, **dict.fromkeys(columns, pa.string())}
    count = 0
    try:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, pa.schema(fields)) as writer:
            while take is None or count < take:
                with as_stored():
                    batch = _taken(examples, ROWS if take is None else min(ROWS, take - count), path)
                if not batch:
                    return
                whole = stored.embed_storage(pa.array([row[audio] for row in batch], stored.pa_type))
                texts = [pa.array([_text(row.get(name)) for row in batch], pa.string()) for name in columns]
                writer.write_batch(pa.record_batch([whole, *texts], schema=pa.schema(fields)))
                count += len(batch)
                yield count
    except OSError as error:
        raise unwritable(path, error) from error


def _taken(examples: Iterator[dict[str, Any]], count: int, path: Path) -> list[dict[str, Any]]:
    try:
        return list(itertools.islice(examples, count))
    except Exception as error:  # whatever the network or a file of the data set raises
        raise DataError(
            f"the stream broke off: {type(error).__name__}: {error}", help="start again: streaming begins anew"
        ) from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
