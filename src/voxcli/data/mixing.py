"""Weights of data sets -> which rows of the training split an epoch takes.

The data set of the largest weight is taken whole in each epoch; of one with a third of that weight, a third, another
one each time, so that after three epochs every utterance has been seen once. No utterance stands in an epoch twice. All
of it follows from (seed, epoch): nothing has to be remembered for a resume, and processes agree without talking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

FINEST = 1000  # a weight counts as the nearest fraction with at most this denominator, of the largest weight


@dataclass(frozen=True)
class Mix:
    """What each epoch takes of several data sets."""

    origins: NDArray[np.int64]
    """Number of each row's data set, counted from 0, shape (rows,)."""
    shares: tuple[Fraction, ...]
    """Share of each data set that an epoch takes, above 0 and at most 1."""
    seed: int

    def rows(self, epoch: int) -> Rows:
        """The rows of an epoch, in their order."""
        chosen = np.ones(len(self.origins), dtype=np.bool_)
        for number, share in enumerate(self.shares):
            if share < 1:
                rows = np.flatnonzero(self.origins == number)
                chosen[rows] = self._taken(len(rows), number, share, epoch)
        return np.flatnonzero(chosen).astype(np.int64)

    def _taken(self, count: int, number: int, share: Fraction, epoch: int) -> NDArray[np.bool_]:
        """Systematic sampling: every row has a place between 0 and 1, and an epoch takes those that its stretch of
        length `share` covers, on a circle. After as many epochs as the denominator all are seen equally often, and the
        places are drawn anew.
        """
        turn, step = divmod(epoch, share.denominator)
        rng = np.random.default_rng([self.seed % 2**63, number, turn, 0x6D6978])
        # in whole numbers: rounding would let a row at the edge of two stretches be seen in both, or in neither
        around = share.denominator * count
        places = rng.permutation(count).astype(np.int64) * share.denominator + share.denominator // 2
        begin = step * share.numerator * count % around
        found: NDArray[np.bool_] = (places - begin) % around < share.numerator * count
        return found


def mix_of(origins: NDArray[np.int64], weights: Sequence[float], *, seed: int) -> Mix | None:
    """The mix of the data sets that have rows; None where an epoch takes all of them."""
    present = [number for number in range(len(weights)) if (origins == number).any()]
    if len({weights[number] for number in present}) < 2:
        return None
    largest = max(Fraction(weights[number]) for number in present)
    shares = [(Fraction(weight) / largest).limit_denominator(FINEST) for weight in weights]
    least = Fraction(1, FINEST)
    return Mix(origins, tuple(min(Fraction(1), max(least, share)) for share in shares), seed)


def counted(
    mix: Mix | None, origins: NDArray[np.int64], durations: NDArray[np.float32], weights: Sequence[float]
) -> list[dict[str, Any]]:
    """For each data set with rows: how many it has, how many the first epoch takes, and its share of the seconds."""
    rows = np.arange(len(origins)) if mix is None else mix.rows(0)
    whole = float(np.nansum(durations[rows], dtype=np.float64))
    found = []
    for number in np.unique(origins).tolist():
        taken = rows[origins[rows] == number]
        seconds = float(np.nansum(durations[taken], dtype=np.float64))
        found.append(
            {
                "number": number,
                "weight": weights[number] if number < len(weights) else 1.0,
                "utterances": int((origins == number).sum()),
                "an_epoch": len(taken),
                "seconds_an_epoch": round(seconds, 1),
                "share": round(seconds / whole, 4) if whole else 0.0,
            }
        )
    return found
