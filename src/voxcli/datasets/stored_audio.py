"""Encoded audio in the rows of an Arrow file -> samples, in any process.

`datasets` keeps its rows in Arrow stream files; voxcli writes the same. A file is memory-mapped when a process first
needs it: what travels between processes is a file name and a row.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class StoredAudio:
    """Audio in one row of an Arrow stream file, in a column of {bytes, path}."""

    file: str
    column: str
    row: int

    def __call__(self) -> tuple[np.ndarray, int]:
        """float32 (N, channels) and their rate in Hz. Raises `DataError`."""
        from voxcli.audio.decode import decode

        return decode(self.encoded(), name=str(self))

    def duration(self) -> float:
        """Length by the header, s. Raises `DataError`."""
        from voxcli.audio.decode import header

        return header(self.encoded(), name=str(self)).duration

    def encoded(self) -> bytes:
        """The file's bytes as they are stored. Raises `DataError`."""
        value = _column(self.file, self.column)[self.row].as_py() or {}
        if value.get("bytes") is None:
            raise DataError(f"{self} holds no audio", help="take the row out")
        stored: bytes = value["bytes"]
        return stored

    def __str__(self) -> str:
        return f"row {self.row + 1} of {os.path.basename(self.file)}"


@functools.lru_cache(maxsize=256)
def _column(file: str, column: str) -> Any:
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.memory_map(file)).read_all().column(column)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{file}, which holds the audio, cannot be read: {error}",
            help="it belongs to a cache that was emptied: delete voxcli's own cache too (`$VOX_CACHE/index`)",
        ) from error
