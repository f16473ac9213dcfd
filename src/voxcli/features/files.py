"""Features -> a file, one recording after the other, so that memory does not grow with their number.

- `.npz`: one array a recording, by its id, and `parameters` (JSON) beside them: `numpy.load(path)[id]`.
- `.parquet`: a row a recording with id, label, speaker, text, duration, frames, bins and values (frames x bins, row by
  row); the parameters stand in the metadata of the schema under `vox`.

Both are written under another name and renamed at the end.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voxcli.errors import UsageError
from voxcli.features.sources import Recording

SUFFIXES = (".npz", ".parquet")
_ROWS = 64  # of a parquet row group


class Writer:
    """Open it, `add` each recording, leave it. Leaving by an error removes what was written."""

    def __init__(self, path: Path, parameters: Mapping[str, Any]) -> None:
        """Raises `UsageError` for a suffix that is not known."""
        if path.suffix not in SUFFIXES:
            raise UsageError(f"--out {path}: a file of features ends in {' or '.join(SUFFIXES)}", help="rename it")
        self.path, self.parameters = path, dict(parameters)
        self._partial = path.with_name(f".{path.name}.partial")
        self._out: _Npz | _Parquet

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._out = (_Npz if self.path.suffix == ".npz" else _Parquet)(self._partial, self.parameters)
        return self

    def add(self, recording: Recording, features: NDArray[np.float32], duration: float) -> None:
        """Features (T, C) or (D,) of one recording of `duration` s."""
        self._out.add(recording, features, duration)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._out.close()
            if error is None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


class _Npz:
    def __init__(self, path: Path, parameters: dict[str, Any]) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._write("parameters", np.asarray(json.dumps(parameters)))

    def add(self, recording: Recording, features: NDArray[np.float32], duration: float) -> None:
        self._write(recording.id, features)

    def _write(self, name: str, array: NDArray[Any]) -> None:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, array, allow_pickle=False)

    def close(self) -> None:
        self._zip.close()


class _Parquet:
    def __init__(self, path: Path, parameters: dict[str, Any]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        texts = [(name, pa.string()) for name in ("id", "label", "speaker", "text")]
        sizes = [("duration", pa.float64()), ("frames", pa.int32()), ("bins", pa.int32())]
        self._schema = pa.schema([*texts, *sizes, ("values", pa.list_(pa.float32()))])
        self._schema = self._schema.with_metadata({"vox": json.dumps(parameters)})
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, recording: Recording, features: NDArray[np.float32], duration: float) -> None:
        frames, bins = np.atleast_2d(features).shape
        known = {name: getattr(recording, name) for name in ("id", "label", "speaker", "text")}
        self._rows.append(
            {**known, "duration": duration, "frames": frames, "bins": bins, "values": features.reshape(-1)}
        )
        if len(self._rows) == _ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
