"""The other utterances of the training split, for augmentations that mix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from voxcli.api import Utterance


class Others(Protocol):
    """The training split, its utterance in hand among them; rows are drawn by their number. Nothing is augmented."""

    def __len__(self) -> int: ...

    def utterance(self, row: int) -> Utterance:
        """One row, its duration known, its text as it is learned. Reads no audio."""
        ...

    def audio(self, row: int) -> np.ndarray:
        """Its samples (N,) at the model's rate, not to be written to. Raises `VoxError` where they cannot be read."""
        ...
