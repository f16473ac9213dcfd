"""Durations in a nearly sorted order -> where one batch ends and the next begins.

`fill` puts into each batch what the budget takes. With few utterances, or a large budget, such a batch joins clips of
very different lengths and a fifth of it is padding. `trade` then finds the fewest batches whose padding stays under a
share: a shortest path over the possible cuts, each batch costing its padded seconds plus a price, and the highest price
that keeps the share (bisection; the path costs milliseconds).
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

Durations = NDArray[np.float64]
Cuts = NDArray[np.int64]
"""Batch k holds the positions cuts[k] to cuts[k + 1] - 1; the first entry is 0, the last is the number of clips."""

SLACK = 1e-6  # s; sums of float32 durations must not push a full batch over its budget
_LISTED = 1 << 16  # clips that are Python numbers at a time
_BLOCKS = 1500  # the path runs over at most about this many blocks of neighbouring clips
LAST_BLOCKS = 20_000  # beyond, batches are so many that padding is no longer the problem
_BISECTIONS = 9


def padded(durations: Durations, cuts: Cuts) -> Durations:
    """Padded seconds of each batch: its number of clips times its longest. Shape (number of batches,)."""
    if len(cuts) < 2:
        return np.zeros(0)
    return np.diff(cuts) * np.maximum.reduceat(durations, cuts[:-1])


def share(durations: Durations, cuts: Cuts) -> float:
    """Padding as a share of all padded seconds, 0 to 1."""
    total = float(padded(durations, cuts).sum())
    return 1.0 - float(durations.sum()) / total if total > 0 else 0.0


def fill(durations: Durations, budget: float, most: int, *, first: float = 1.0) -> Cuts:
    """Each batch takes clips while count x longest <= `budget` s and count <= `most`; a longer clip stands alone.

    `first` is the part of the budget that the first batch may use: a random one moves all cuts from epoch to epoch.
    """
    cuts = [0]
    limit, start, count, room, longest = budget * first, 0, 0, 0, 0.0
    for begin in range(0, len(durations), _LISTED):  # numbers of Python: a batch has too few for arrays
        for duration in durations[begin : begin + _LISTED].tolist():
            count += 1
            if duration > longest:
                longest = duration
            if count > room or count * longest > limit + SLACK:  # it is the first clip of a batch
                if count > 1:
                    start += count - 1
                    cuts.append(start)
                    limit, count, longest = budget, 1, duration
                room = most
                if limit < inf:  # the clips are nearly sorted: none of the batch is much shorter than its first
                    room = min(most, int(2.0 * limit / max(duration, 1e-3)) + 2)
    return np.asarray([*cuts, start + count] if count else cuts, dtype=np.int64)


def trade(
    durations: Durations, budget: float, most: int, *, max_padding: float, rng: np.random.Generator | None = None
) -> Cuts:
    """The fewest batches whose padding share is at most `max_padding`. `rng` varies the cuts from call to call."""
    first = 1.0 if rng is None else float(rng.uniform(0.5, 1.0))
    cuts = fill(durations, budget, most, first=first)
    if len(durations) < 2 or share(durations, cuts) <= max_padding:
        return cuts
    step = -(-len(durations) // _BLOCKS)
    blocks = fill(durations, budget / 8, min(most, step))
    if len(blocks) > LAST_BLOCKS:
        return cuts
    longest = np.maximum.reduceat(durations, blocks[:-1])
    whims = np.ones(len(blocks)) if rng is None else rng.uniform(0.7, 1.3, len(blocks))
    low, high = 1e-3, max(2.0 * budget if np.isfinite(budget) else 0.0, float(durations.sum()))
    best: Cuts = np.arange(len(durations) + 1)  # every clip alone: no padding at all
    for _ in range(_BISECTIONS):
        price = float(np.sqrt(low * high))
        tried = blocks[_shortest(blocks, longest, budget, most, price * whims)]
        if share(durations, tried) <= max_padding:
            low, best = price, tried
        else:
            high = price
    return best


def _shortest(blocks: Cuts, longest: Durations, budget: float, most: int, prices: Durations) -> Cuts:
    """Indices into `blocks` of the cheapest cuts: padded seconds plus a price for each batch."""
    count = len(longest)
    cost = np.zeros(count + 1)
    came_from = np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        # the batch may begin at block end - 1, end - 2, …: clips and longest both grow, so the seconds do too
        clips = blocks[end] - blocks[end - 1 :: -1]
        seconds = clips * np.maximum.accumulate(longest[end - 1 :: -1])
        over = (seconds > budget + SLACK) | (clips > most)
        allowed = max(1, int(over.argmax())) if over[-1] else end
        total = cost[end - allowed : end][::-1] + seconds[:allowed]
        chosen = int(np.argmin(total))
        cost[end] = total[chosen] + prices[end]
        came_from[end] = end - 1 - chosen
    path = [count]
    while path[-1] > 0:
        path.append(int(came_from[path[-1]]))
    return np.asarray(path[::-1], dtype=np.int64)
