"""Sizes of batches that did not fit the memory -> whether another batch is cut before it is tried.

What a batch needs grows with its padded seconds, faster with the length of a clip (attention), and for a decoder with
the length of its labels. So a batch counts as too large where it has at least the padded seconds of one that failed,
in clips and labels at least half as long as that one's. Batches of much shorter clips are tried: they may fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Size(NamedTuple):
    """How large a batch is."""

    n_utterances: int
    duration: float
    """What its clips are padded to, s."""
    n_labels: int = 0
    """The longest label in tokens; 0 where there are none."""

    @property
    def padded(self) -> float:
        """Padded seconds of the whole batch."""
        return self.n_utterances * self.duration


class Ceiling:
    """The sizes that failed, none of which says what another one says already."""

    def __init__(self, failed: Iterable[Iterable[float]] = ()) -> None:
        self.failed: list[Size] = []
        for n_utterances, duration, n_labels in failed:
            self.lower(Size(int(n_utterances), duration, int(n_labels)))

    def lower(self, size: Size) -> None:
        """A batch of this size did not fit. One clip says nothing about others: it cannot be cut."""
        if size.n_utterances > 1 and not self.reached(size):
            self.failed = [one for one in self.failed if not _at_least(one, size)] + [size]

    def reached(self, size: Size) -> bool:
        """Whether a batch of this size is cut before it is tried."""
        return size.n_utterances > 1 and any(_at_least(size, one) for one in self.failed)


def _at_least(size: Size, failed: Size) -> bool:
    """Compared with a little room: durations are sums of samples."""
    return (
        size.padded >= failed.padded - 1e-3
        and size.duration >= failed.duration / 2
        and size.n_labels >= failed.n_labels / 2
    )
