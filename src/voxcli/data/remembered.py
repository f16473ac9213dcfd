"""What one epoch has read and the next will read again: kept in memory as far as there is room, never on disk.

Where nothing changes a clip between epochs its features stay, else its decoded audio, from which the next epoch
augments anew. What was kept first stays: an epoch goes through everything once, so that throwing out the oldest would
throw out just what comes next.
"""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import numpy as np

MOST_BYTES = 256 * 2**20
"""An hour of decoded audio at 16 kHz, or two of log-mels with 80 bins."""

LEAST = 0.1
"""Of the data, as decoded audio, that has to fit: for less the memory is not worth it."""

_Kept = TypeVar("_Kept")


class Remembered:
    """Values by utterance id, at most `most` bytes of them. Who asks gets a copy, and may change it."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._values: dict[str, Any] = {}
        self._bytes = 0

    @classmethod
    def worth(cls, seconds: float, sampling_rate: int) -> Self | None:
        """Room for data of that much audio; None where next to nothing of it would fit."""
        return cls() if 4 * seconds * sampling_rate * LEAST <= MOST_BYTES else None

    def of(self, name: str, make: Callable[[], _Kept]) -> _Kept:
        """The value of an utterance, made where it is not kept yet. What `make` raises passes through."""
        if name in self._values:
            found: _Kept = copy.deepcopy(self._values[name])
            return found
        made = make()
        size = _size(made)
        if size is not None and self._bytes + size <= self._most:
            self._values[name] = copy.deepcopy(made)
            self._bytes += size
        return made


def _size(value: Any) -> int | None:
    """Bytes of arrays, tensors, numbers and texts, alone or in containers; None for anything else, which may hold more
    than its copy would say."""
    if isinstance(value, np.ndarray):
        return None if value.dtype.hasobject else int(value.nbytes)
    if hasattr(value, "untyped_storage"):  # a tensor: copied with all of its storage
        return int(value.untyped_storage().nbytes())
    if value is None or isinstance(value, numbers.Number | np.generic):
        return 32
    if isinstance(value, str | bytes):
        return 64 + len(value)
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if not isinstance(value, list | tuple):
        return None
    sizes = [_size(part) for part in value]
    return None if None in sizes else 64 + sum(filter(None, sizes))
