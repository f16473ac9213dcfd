"""Files of speaker vectors -> {name: vector (D,) float32}. SpeechT5 learned x-vectors of 512 numbers."""

from __future__ import annotations

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
    recordings; of an .npz every array of one dimension, under its name.
    """
    import numpy as np

    try:
        if path.suffix == ".parquet":
            return _means(path)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name].astype(np.float32) for name in arrays if arrays[name].ndim == 1}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} holds no vectors of speakers: {error}",
            help="vox features x-vector RECIPE --model MODEL -o speakers.parquet",
        ) from error


def _means(path: Path) -> dict[str, np.ndarray]:
    import numpy as np
    from pyarrow import parquet

    table = parquet.read_table(path, columns=["speaker", "values"])
    found: dict[str, list[np.ndarray]] = {}
    for name, values in zip(table["speaker"].to_pylist(), table["values"].to_pylist(), strict=True):
        found.setdefault(name or "", []).append(np.asarray(values, np.float32))
    return {name: np.stack(vectors).mean(axis=0) for name, vectors in sorted(found.items())}


def saved(checkpoint: str | None) -> dict[str, np.ndarray]:
    """Those that were saved with a checkpoint; none where it has none."""
    path = Path(checkpoint or "") / FILE
    return read(path) if checkpoint is not None and path.is_file() else {}


def save(voices: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write them beside the weights, where there are any."""
    import numpy as np

    if voices:
        np.savez(folder / FILE, allow_pickle=False, **voices)


def check(voices: Mapping[str, np.ndarray], dimension: int, source: object) -> None:
    """Raises `DataError` where a vector does not fit the model."""
    for name, vector in voices.items():
        if vector.shape != (dimension,):
            raise DataError(
                f"{source}: the vector of '{name}' has the shape {vector.shape}, the model takes ({dimension},)",
                help=f"take x-vectors of {dimension} numbers; of a model with random weights set "
                f"config.speaker_embedding_dim = {vector.size}",
            )
