"""The weights of a folder -> names, shapes and places of their tensors, from the headers; values only when asked for.

The format: https://github.com/huggingface/safetensors, README: 8 bytes of length, a JSON header, the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("model.safetensors", "adapter_model.safetensors")
PICKLES = ("pytorch_model.bin", "adapter_model.bin", "pytorch_model.bin.index.json")
INDEX = "model.safetensors.index.json"
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_EXPONENT = 0x7F80  # of bfloat16: all ones is infinite or no number
_LONGEST_HEADER = 100 * 2**20
_PIECE = 2**22  # values at a time


@dataclass(frozen=True)
class Tensor:
    """One tensor in a file."""

    name: str
    dtype: str
    """As the format writes it: "F32"."""
    shape: tuple[int, ...]
    file: Path
    begin: int
    """Byte in the file."""
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.begin

    @property
    def floating(self) -> bool:
        """Whether it holds floating point numbers of a type that can be read here."""
        return self.dtype in _TYPES

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Its values in stretches, flat; bfloat16 as the 16 bits of each."""
        if not self.size:  # an empty file cannot be mapped
            return
        kind = np.dtype(_TYPES[self.dtype])
        whole = np.memmap(self.file, dtype=kind, mode="r", offset=self.begin, shape=(self.size // kind.itemsize,))
        for start in range(0, len(whole), _PIECE):
            yield whole[start : start + _PIECE]

    def broken(self) -> int:
        """How many of its values are infinite or no number."""
        found = 0
        for piece in self.pieces():
            if self.dtype == "BF16":
                found += int(np.count_nonzero((piece.view(np.uint16) & _EXPONENT) == _EXPONENT))
            else:
                found += piece.size - int(np.count_nonzero(np.isfinite(piece)))
        return found

    def values(self) -> NDArray[np.float32]:
        """All of it in float32, in its shape."""
        parts = list(self.pieces())
        if self.dtype == "BF16":
            parts = [(piece.astype(np.uint32) << 16).view(np.float32) for piece in parts]
        flat = np.concatenate(parts) if parts else np.zeros(0)
        return flat.astype(np.float32).reshape(self.shape)


@dataclass(frozen=True)
class Damage:
    """A file of weights that cannot be read, and why."""

    file: Path
    reason: str


@dataclass(frozen=True)
class Weights:
    """All tensors of a folder."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    damaged: tuple[Damage, ...] = ()
    pickles: tuple[Path, ...] = ()
    """Weights as Python pickles."""

    @classmethod
    def of(cls, folder: Path) -> Weights:
        """The weights of a folder; empty where there are none."""
        tensors: dict[str, Tensor] = {}
        files, damaged = [], []
        parts, missing = _shards(folder)
        damaged += [Damage(folder / name, reason) for name, reason in missing]
        for name in [*(name for name in NAMES if (folder / name).is_file()), *parts]:
            files.append(folder / name)
            try:
                tensors |= header(folder / name)
            except ValueError as error:
                damaged.append(Damage(folder / name, str(error)))
        pickles = tuple(folder / name for name in PICKLES if (folder / name).is_file())
        return cls(tensors, tuple(files), tuple(damaged), pickles)

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(one.size for one in self.tensors.values())


def header(file: Path) -> dict[str, Tensor]:
    """The tensors of one file. Raises `ValueError` with the reason where the file is damaged or cut off."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        first = opened.read(8)
        if first == b"version ":
            raise ValueError("it is a Git LFS pointer, not the weights: `git lfs pull` fetches them")
        length = int.from_bytes(first, "little")
        if len(first) < 8 or not 0 < length <= min(_LONGEST_HEADER, size):
            raise ValueError(f"it is no safetensors file, or cut off within its header ({size:,} bytes)")
        try:
            content = json.loads(opened.read(length))
            tensors = {
                name: Tensor(
                    name,
                    str(entry["dtype"]),
                    tuple(int(one) for one in entry["shape"]),
                    file,
                    8 + length + int(entry["data_offsets"][0]),
                    8 + length + int(entry["data_offsets"][1]),
                )
                for name, entry in content.items()
                if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"its header cannot be read: {error}") from error
    wanted = max((one.end for one in tensors.values()), default=8 + length)
    if size < wanted:
        raise ValueError(f"it is cut off: its header names {wanted:,} bytes, the file has {size:,}")
    return tensors


def _shards(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """The files that the index names, and those of them that are not there."""
    path = folder / INDEX
    if not path.is_file():
        return [], []
    try:
        named = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], [(INDEX, "the index of the weights cannot be read")]
    there = [name for name in named if (folder / name).is_file()]
    return there, [(name, f"{INDEX} names it, and it is not there") for name in named if name not in there]
