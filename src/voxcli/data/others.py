"""The utterances that augmentations may mix with: the training split as it stands, its audio as it is read."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from voxcli.api import Utterance
from voxcli.audio.decode import read_utterance
from voxcli.data.table import Table

KEPT = 25_000_000  # samples, 100 MB: 26 minutes at 16 kHz


@dataclass(frozen=True)
class OthersOf:
    """A table as `voxcli.api.Others`."""

    table: Table
    sampling_rate: int

    def __len__(self) -> int:
        return len(self.table)

    def utterance(self, row: int) -> Utterance:
        """One row, its duration known, its text as it is learned."""
        return self.table.utterance(row)

    def audio(self, row: int) -> np.ndarray:
        """Its samples (N,), not to be written to. Raises `DataError` where they cannot be read."""
        return _HEARD.setdefault(self.table, _Heard()).audio(self, row)


class _Heard:
    """What was read last, as far as `KEPT` samples: a part of an utterance costs the decoding of all of it."""

    def __init__(self) -> None:
        self._of: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._samples = 0

    def audio(self, others: OthersOf, row: int) -> np.ndarray:
        key = (row, others.sampling_rate)
        found = self._of.pop(key, None)
        if found is None:
            found = read_utterance(others.table.utterance(row), others.sampling_rate)
            found.flags.writeable = False
            self._samples += len(found)
        self._of[key] = found
        while self._samples > KEPT and len(self._of) > 1:
            self._samples -= len(self._of.popitem(last=False)[1])
        return found


_HEARD: WeakKeyDictionary[Table, _Heard] = WeakKeyDictionary()
"""By table, in each process: epochs have loaders of their own."""
