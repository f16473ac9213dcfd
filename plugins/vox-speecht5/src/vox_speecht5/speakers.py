"""Files of speaker vectors -> {name: vector (D,) float32}. SpeechT5 learned x-vectors of 512 numbers."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

FILE = "speakers.npz"


def read(path: Path) -> dict[str, np.ndarray]:
    """Vectors by speaker. Raises `DataError`.

    Of a .parquet (columns speaker and values, as `vox features x-vector` writes it) the mean over each speaker's
    recordings; of an .npz every array, (D,) or (1, D), under its name.
    """
    try:
        found = _means(path) if path.suffix == ".parquet" else _arrays(path)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _none(path, str(error)) from error
    if not found:
        raise _none(path, "it is empty")
    return found


def _none(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} holds no vectors of speakers: {reason}",
        help="vox features x-vector RECIPE --model MODEL -o speakers.parquet",
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    found: dict[str, np.ndarray] = {}
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        raise ValueError("it is one array without a name, an .npz has one for each speaker")
    with loaded as arrays:
        for name in arrays:
            vector = arrays[name]
            if vector.shape != (vector.size,) and vector.shape != (1, vector.size):
                raise ValueError(f"the array '{name}' has the shape {vector.shape}, expected (D,) or (1, D)")
            found[name] = vector.reshape(-1).astype(np.float32)
    return found


def _means(path: Path) -> dict[str, np.ndarray]:
    import numpy as np
    from pyarrow import parquet

    table = parquet.read_table(path, columns=["speaker", "values"])
    found: dict[str, list[np.ndarray]] = {}
    for name, values in zip(table["speaker"].to_pylist(), table["values"].to_pylist(), strict=True):
        if not values:
            raise ValueError(f"a row of '{name or ''}' has no values")
        found.setdefault(name or "", []).append(np.asarray(values, np.float32))
    return {name: np.stack(vectors).mean(axis=0) for name, vectors in sorted(found.items())}


def saved(checkpoint: str | None) -> dict[str, np.ndarray]:
    """Those that were saved with a checkpoint; none where it has none."""
    path = Path(checkpoint or "") / FILE
    return read(path) if checkpoint is not None and path.is_file() else {}


def save(voices: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write them beside the weights, where there are any."""
    from numpy.lib import format as npy

    if not voices:
        return
    with zipfile.ZipFile(folder / FILE, "w") as archive:  # numpy.savez takes names as its own: file, allow_pickle
        for name, vector in voices.items():
            with archive.open(f"{name}.npy", "w") as member:
                npy.write_array(member, vector, allow_pickle=False)


def check(voices: Mapping[str, np.ndarray], dimension: int, source: object) -> None:
    """Raises `DataError` where a vector does not fit the model."""
    for name, vector in voices.items():
        if vector.shape != (dimension,):
            raise DataError(
                f"{source}: the vector of '{name}' has the shape {vector.shape}, the model takes ({dimension},)",
                help=f"take x-vectors of {dimension} numbers; of a model with random weights set "
                f"config.speaker_embedding_dim = {vector.size}",
            )
