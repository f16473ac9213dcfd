"""The utterances that augmentations may mix with: the training split as it stands, its audio as it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxcli.api import Utterance
from voxcli.audio.decode import read_utterance
from voxcli.data.table import Table


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
        """Its samples (N,). Raises `DataError` where they cannot be read."""
        return read_utterance(self.table.utterance(row), self.sampling_rate)
