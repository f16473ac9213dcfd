"""Durations and labels of a split -> the largest batches that training and evaluation can make of them, in any epoch.

`voxcli.data.batches` sorts clips by their padded length, each key moved by at most `JITTER`, and cuts the order so that
a batch's padded seconds, its clips and the epoch's padding stay within their bounds. What follows from these rules for
a batch whose longest clip has the length L is exact or a little too large, never too small:

    clips   <= budget / L, <= batch size, <= clips that are no longer, and no more padding than an epoch may have
    labels  of the clips of about that length: what lies between two clips of a batch is in it too
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxcli.data.batches import JITTER, MAX_PADDING, by_duration, lengthened
from voxcli.data.cutting import LAST_BLOCKS, SLACK
from voxcli.engines.batching import LONGEST, pack
from voxcli.memory.setup import Shape

if TYPE_CHECKING:
    from voxcli.api import Augmentation, Limits, Utterance
    from voxcli.data.table import Table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Clips:
    """What a split's clips are to its batches, sorted by padded length."""

    durations: Floats
    """The longest that augmentation makes each, and the model takes, s. Shape (rows,), like the others."""
    lengths: Floats
    """What the sampler counts: with the model's own padding, s."""
    labels: Ints
    """Tokens as the task collates them."""
    grouped: bool = True
    """Clips of similar length share a batch, as in `DurationBatches`; without it, any that are no longer."""

    @classmethod
    def of(
        cls,
        durations: ArrayLike,
        labels: ArrayLike,
        *,
        augment: Sequence[Augmentation] = (),
        padded: Callable[[float], float] | None = None,
        longest: float = math.inf,
    ) -> Clips:
        """`padded`: `data.batches.padding_of`. `longest`: what the model takes in one piece, s; a clip that becomes
        longer is left out when it is read, but the sampler counts it.
        """
        stretched = np.asarray(lengthened(durations, augment), dtype=np.float64)
        if padded is None:
            lengths = stretched
        else:  # a corpus has few different durations
            different, which = np.unique(stretched, return_inverse=True)
            lengths = np.asarray([padded(float(duration)) for duration in different], dtype=np.float64)[which]
        order = np.lexsort((stretched, lengths))
        counted = np.asarray(labels, dtype=np.int64)[order]
        return cls(np.minimum(stretched[order], longest), lengths[order], counted)

    def __len__(self) -> int:
        return len(self.lengths)

    def up_to(self, duration: float) -> Clips:
        """Those that are no longer than `duration` s."""
        kept = self.durations <= duration + 1e-6
        return Clips(self.durations[kept], self.lengths[kept], self.labels[kept], self.grouped)

    def share(self, duration: float) -> float:
        """Which part of all seconds the clips up to `duration` s hold, 0 to 1."""
        total = float(self.durations.sum())
        return float(self.durations[self.durations <= duration + 1e-6].sum()) / total if total > 0 else 1.0

    def shapes(
        self,
        *,
        batch_duration: float | None,
        batch_size: int | None = None,
        max_padding: float = MAX_PADDING,
    ) -> list[Shape]:
        """The batches that no other one exceeds in clips, duration and labels at once; the most clips first."""
        if not len(self):
            return []
        budget = math.inf if batch_duration is None else float(batch_duration)
        most = len(self) if batch_size is None else batch_size
        # equal lengths are one candidate: the last of them, which sees all of them
        last = np.flatnonzero(np.append(np.diff(self.lengths) > 0, True))
        counts = self._clips(last, budget, most, max_padding if self.grouped else None)
        first = self._first(last, counts) if self.grouped else np.zeros_like(last)
        labels = _Highest(self.labels)(first, last + 1)
        return _skyline(counts, self.durations[last], labels)

    def _clips(self, last: Ints, budget: float, most: int, max_padding: float | None) -> Ints:
        """The most clips of a batch whose longest is at `last`. `max_padding`: None where padding has no bound."""
        longest = self.lengths[last]
        room = np.minimum(float(most), last + 1.0)
        if not math.isinf(budget):
            room = np.minimum(room, np.floor((budget + SLACK) / np.maximum(longest, 1e-3)))
        counts = np.maximum(room, 1).astype(np.int64)
        if math.isinf(budget) or max_padding is None or len(self) > LAST_BLOCKS:
            return counts
        # padding is a share of all padded seconds of an epoch, so no batch has more of it than this
        allowed = max_padding / (1.0 - max_padding) * float(self.lengths.sum()) + SLACK
        sums = np.concatenate([[0.0], np.cumsum(self.lengths)])
        low, high = np.ones_like(counts), counts  # the least padding of n clips is that of the n longest
        while (low < high).any():
            middle = (low + high + 1) // 2
            padding = middle * longest - (sums[last + 1] - sums[last + 1 - middle])
            low, high = np.where(padding <= allowed, middle, low), np.where(padding <= allowed, high, middle - 1)
        return low

    def _first(self, last: Ints, counts: Ints) -> Ints:
        """The shortest clip that can share a batch with the one at `last`, which holds all that is surely between."""
        apart = math.exp(2 * JITTER)
        surely_below = np.searchsorted(self.lengths, self.lengths[last] / apart, side="right")
        inside = surely_below - (counts - 2)  # the first that may lie between
        bound = np.where(inside > 0, self.lengths[np.maximum(inside - 1, 0)] / apart, -1.0)
        equal = np.searchsorted(self.lengths, self.lengths[last], side="left")
        return np.where(counts > 1, np.minimum(np.searchsorted(self.lengths, bound, side="left"), equal), equal)


def clips_of(
    table: Table,
    count: Callable[[Utterance], int],
    *,
    augment: Sequence[Augmentation] = (),
    padded: Callable[[float], float] | None = None,
    limits: Limits | None = None,
    grouped: bool = True,
) -> Clips:
    """The clips of a split. `count`: tokens of an utterance's label; it is asked about those that can decide."""
    durations = np.asarray(table.durations, dtype=np.float64)
    longest = limits.max_duration if limits is not None else math.inf
    made = Clips.of(durations, label_lengths(table, count), augment=augment, padded=padded, longest=longest)
    return replace(made, grouped=grouped)


FEW = 2000  # utterances whose labels are all counted: half a second
_BRACKET = 0.05  # clips whose lengths differ by less are one bracket
_PER_BRACKET = 24
_SAMPLE = 400


def label_lengths(table: Table, count: Callable[[Utterance], int]) -> Ints:
    """Tokens of each utterance's label, shape (rows,); 0 for those that cannot be the longest of their bracket.

    Of a large table a sample is counted, tokens are estimated from characters and bytes, and in each bracket of
    durations the labels of the highest estimates are counted.
    """
    size = len(table)
    if size <= FEW:
        return np.fromiter((count(table.utterance(row)) for row in range(size)), dtype=np.int64, count=size)
    import pyarrow.compute as pc

    texts = table.texts.array
    described = np.ones((size, 3))
    described[:, 0] = np.asarray(pc.fill_null(pc.utf8_length(texts), 0).to_numpy())
    described[:, 1] = np.asarray(pc.fill_null(pc.binary_length(texts), 0).to_numpy())
    counted = np.zeros(size, dtype=np.int64)

    def look(rows: Iterable[int]) -> None:
        for row in rows:
            if not counted[row]:
                counted[row] = count(table.utterance(int(row)))

    sample = np.unique(np.linspace(0, size - 1, _SAMPLE).astype(np.int64))
    look(sample)
    weights = np.linalg.lstsq(described[sample], counted[sample].astype(np.float64), rcond=None)[0]
    estimates = described @ weights
    brackets = np.floor(np.log(np.maximum(table.durations.astype(np.float64), 1e-3)) / _BRACKET).astype(np.int64)
    order = np.lexsort((-estimates, brackets))
    starts = np.flatnonzero(np.append(True, np.diff(brackets[order]) > 0))
    for start, end in zip(starts, [*starts[1:], size], strict=True):
        look(order[start : min(start + _PER_BRACKET, end)])
    look(np.argsort(-estimates, kind="stable")[: 2 * _PER_BRACKET])
    return counted


def worst(shapes: Sequence[Shape], peak: Callable[[Shape], int]) -> Shape:
    """The shape of the highest peak; raises `ValueError` for none."""
    return max(shapes, key=lambda shape: (peak(shape), shape))


@dataclass(frozen=True)
class EvaluationShapes:
    """The largest batches of an evaluation during training."""

    decoding: list[Shape]
    """What is transcribed; `n_labels` is 0: how long a text may become is the decoding's."""
    loss: list[Shape]
    """What the loss is computed of."""


def evaluation(
    durations: ArrayLike,
    labels: ArrayLike,
    *,
    batch_duration: float,
    shortest: float = 0.0,
    longest: float = math.inf,
    windows: Shape | None = None,
    loss_rows: Ints | None = None,
) -> EvaluationShapes:
    """The batches of `evaluate.predict` and of `train.validation`'s loss for a sample of the validation split.

    `shortest`: what the model pads every clip to at least, s. `longest`: what it takes in one piece, s; longer clips
    come one by one as a batch of the shape `windows`. `loss_rows`: which rows have their loss computed; None is all.
    """
    known = np.nan_to_num(np.asarray(durations, dtype=np.float64), nan=0.0)
    counted = np.asarray(labels, dtype=np.int64)
    window = min(longest, LONGEST)
    decoded = []
    for batch in pack(known.tolist(), batch_duration, shortest=shortest):
        whole = known[batch][known[batch] <= window + 1e-6]
        if len(whole):
            decoded.append(Shape(len(whole), float(whole.max()), 0))
        if len(whole) < len(batch) and windows is not None:
            decoded.append(windows)
    rows = np.arange(len(known)) if loss_rows is None else np.asarray(loss_rows, dtype=np.int64)
    lost = [
        Shape(len(batch), float(known[batch].max()), int(counted[batch].max()))
        for batch in by_duration(np.maximum(known, shortest), batch_duration=batch_duration, rows=rows)
    ]
    return EvaluationShapes(_undominated(decoded), _undominated(lost))


def _undominated(shapes: Sequence[Shape]) -> list[Shape]:
    if not shapes:
        return []
    columns = [
        np.asarray(column) for column in zip(*((s.n_utterances, s.duration, s.n_labels) for s in shapes), strict=True)
    ]
    return _skyline(*columns)


def _skyline(counts: Ints, durations: Floats, labels: Ints) -> list[Shape]:
    """The points that no other one exceeds in all three."""
    order = np.lexsort((-labels, -durations, -counts))
    counts, durations, labels = counts[order], durations[order], labels[order]
    kept: list[Shape] = []
    starts = np.flatnonzero(np.append(True, np.diff(counts) < 0))
    stairs: list[
        tuple[float, int]
    ] = []  # (duration, labels) of batches with more clips: the one falls, the other rises
    for start, end in zip(starts, [*starts[1:], len(counts)], strict=True):
        highest = np.maximum.accumulate(np.concatenate([[-1], labels[start : end - 1]]))
        for at in start + np.flatnonzero(labels[start:end] > highest):
            point = (float(durations[at]), int(labels[at]))
            if not any(duration >= point[0] and label >= point[1] for duration, label in stairs):
                stairs = [stair for stair in stairs if stair[0] > point[0] or stair[1] > point[1]] + [point]
                kept.append(Shape(int(counts[at]), *point))
    return kept


class _Highest:
    """The highest of any stretch of numbers at once (sparse table: the highest of each 2^k neighbours)."""

    def __init__(self, numbers: Ints) -> None:
        self._levels = [numbers.astype(np.int32)]
        while 2 * (width := 2 ** (len(self._levels) - 1)) <= len(numbers):
            level = self._levels[-1]
            self._levels.append(np.maximum(level[:-width], level[width:]))

    def __call__(self, first: Ints, after: Ints) -> Ints:
        """Of the stretches [first, after), none of them empty; shape of `first`."""
        level = np.floor(np.log2(after - first)).astype(np.int64)
        found = np.zeros(len(first), dtype=np.int64)
        for number in np.unique(level):
            of = level == number
            values = self._levels[number]
            found[of] = np.maximum(values[first[of]], values[after[of] - 2**number])
        return found
