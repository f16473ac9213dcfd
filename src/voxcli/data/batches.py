"""Durations of a split -> for each epoch, batches of row numbers in a random order.

Clips of similar length share a batch, unless batches are to be of any length. Each epoch shifts the sort keys and the
cuts a little, so that batches differ from epoch to epoch, and shuffles the batches; all of it follows from (seed,
epoch). Each row is in exactly one batch of an epoch; where data sets have weights, in at most one
(`voxcli.data.mixing`). The number of batches may differ a little between epochs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxcli.data import cutting
from voxcli.data.mixing import Mix
from voxcli.errors import DataError

if TYPE_CHECKING:
    from voxcli.api import Augmentation, Limits, ModelFamily

Rows = NDArray[np.int64]

MAX_PADDING = 0.05
"""Padding share that batches by duration keep; smaller batches pay for it where the data are few."""
JITTER = 0.02  # the sort key is the duration times exp(u), |u| at most this: neighbours change places, strangers do not


class DurationBatches:
    """Batches of at most `batch_duration` s of padded audio, or of `batch_size` clips, or both.

    `durations`: s, shape (rows,). Give them as long as augmentation can make them (`lengthened`) where memory is tight.
    `mix`: which rows an epoch takes; None: all. `padded` says how long the model makes a clip (`padding_of`); None: as
    long as it is. `grouped`: clips of similar length share a batch; without it, any. A clip longer than
    `batch_duration` is a batch of its own. Raises `DataError` for durations that are not known.
    """

    def __init__(
        self,
        durations: ArrayLike,
        *,
        batch_duration: float | None,
        batch_size: int | None,
        seed: int,
        padded: Callable[[float], float] | None = None,
        max_padding: float = MAX_PADDING,
        mix: Mix | None = None,
        grouped: bool = True,
    ) -> None:
        self.durations = _known(durations)
        self._padded = padded
        self._lengths = self.durations if padded is None else np.asarray([padded(float(d)) for d in self.durations])
        if batch_duration is None and batch_size is None:
            raise DataError("batches need a size", help="set [train] batch_duration or per_device_train_batch_size")
        if (batch_duration is not None and batch_duration <= 0) or (batch_size is not None and batch_size < 1):
            raise DataError(f"batches of {batch_duration} s or {batch_size} utterances cannot hold anything")
        self._budget = float("inf") if batch_duration is None else float(batch_duration)
        self._most = len(self.durations) + 1 if batch_size is None else batch_size
        self._seed = seed
        self._max_padding = max_padding
        self.mix = mix
        self.grouped = grouped
        self._made: tuple[tuple[int, int], list[Rows]] | None = None

    def epoch(self, epoch: int, world: int = 1) -> list[Rows]:
        """The batches of an epoch, each an array of row numbers, in training order.

        For `world` processes the list's length is a multiple of `world`: batches k*world … k*world+world-1 are one
        step, of similar duration, and process r takes the r-th. The multiple is reached by halving the batches of most
        clips: no row is lost and none is seen twice. Only a split of fewer than `world` rows repeats some.
        """
        if self._made is None or self._made[0] != (epoch, world):  # asked for twice in a row: to count, and to train
            self._made = (epoch, world), self._batches(epoch, world)
        return self._made[1]

    def _batches(self, epoch: int, world: int) -> list[Rows]:
        if not len(self.durations):
            return []
        rng = np.random.default_rng([self._seed % 2**63, epoch])
        if self.grouped:
            keys = self._lengths * np.exp(rng.uniform(-JITTER, JITTER, len(self._lengths)))
        else:
            keys = rng.random(len(self._lengths))
        if self.mix is None:
            order = np.argsort(keys, kind="stable").astype(np.int64)
        else:
            rows = self.mix.rows(epoch)
            order = rows[np.argsort(keys[rows], kind="stable")]
        clips = self._lengths[order]
        if np.isinf(self._budget):  # exactly batch_size clips each; the one smaller batch stands anywhere
            rest = len(clips) % self._most
            smaller = int(rng.integers(0, len(clips) // self._most + 1)) * self._most
            ends = np.arange(0, len(clips) + 1, self._most)
            cuts = np.unique(np.concatenate([ends[ends <= smaller], ends[ends >= smaller] + rest, [0, len(clips)]]))
        elif not self.grouped:
            cuts = cutting.fill(clips, self._budget, self._most)
        else:
            cuts = cutting.trade(clips, self._budget, self._most, max_padding=self._max_padding, rng=rng)
        batches = _divide(np.split(order, cuts[1:-1]), world)
        steps = rng.permutation(len(batches) // world)
        return [batches[step * world + rank] for step in steps for rank in range(world)]

    def padding_share(self, epoch: int, world: int = 1) -> float:
        """Padding as a share of all padded seconds of an epoch, 0 to 1."""
        return padding_share(self.durations, self.epoch(epoch, world), padded=self._padded)


def by_duration(
    durations: ArrayLike, *, batch_duration: float | None, batch_size: int | None = None, rows: Rows | None = None
) -> list[Rows]:
    """Batches for evaluation: the longest first, so that too little memory shows at once. No randomness.

    `rows` takes some of the split only. Full batches, whatever their padding.
    """
    known = _known(durations)
    chosen = np.arange(len(known), dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
    order = chosen[np.argsort(known[chosen], kind="stable")]
    budget = float("inf") if batch_duration is None else float(batch_duration)
    cuts = cutting.fill(known[order], budget, len(known) + 1 if batch_size is None else batch_size)
    return np.split(order, cuts[1:-1])[::-1] if len(order) else []


def padding_share(
    durations: ArrayLike, batches: Iterable[Rows], *, padded: Callable[[float], float] | None = None
) -> float:
    """Padding as a share of all padded seconds of the batches, 0 to 1; `padded` as in `DurationBatches`."""
    known = np.asarray(durations, dtype=np.float64)
    real = full = 0.0
    for batch in batches:
        longest = float(known[batch].max())
        real += float(known[batch].sum())
        full += len(batch) * (longest if padded is None else padded(longest))
    return 1.0 - real / full if full > 0 else 0.0


def padding_of(family: ModelFamily, limits: Limits) -> Callable[[float], float] | None:
    """How long the model makes a clip before it works on it, s (Whisper: its whole window); None: it takes clips as
    they are. A family says so by a method `padded_duration(duration, window)`.
    """
    padded = getattr(family, "padded_duration", None)
    return functools.partial(padded, window=limits.max_duration) if callable(padded) else None


def lengthened(durations: ArrayLike, augment: Sequence[Augmentation]) -> NDArray[np.float32]:
    """Durations as long as the augmentations can make them, s, for batches that must fit whatever is drawn."""
    longest = np.asarray(durations, dtype=np.float32)
    lengthening = [augmentation for augmentation in augment if augmentation.p > 0]
    if not lengthening:
        return longest
    different, which = np.unique(longest, return_inverse=True)  # a large corpus has many clips of one duration
    for augmentation in lengthening:
        different = np.asarray([augmentation.longest(float(d)) for d in different], dtype=np.float32)
    return different[which].reshape(longest.shape)


def _known(durations: ArrayLike) -> NDArray[np.float64]:
    known = np.asarray(durations, dtype=np.float64)
    if bad := int((~np.isfinite(known) | (known < 0)).sum()):
        raise DataError(f"{bad} of {len(known)} utterances have no known duration", help="load_splits sets them aside")
    return known


def _divide(batches: list[Rows], world: int) -> list[Rows]:
    """As many batches as a multiple of `world`, still sorted by duration."""
    while len(batches) % world:
        largest = max(range(len(batches)), key=lambda index: len(batches[index]))
        rows = batches[largest]
        if len(rows) < 2:  # fewer rows than processes
            batches += [batches[index % len(batches)] for index in range(-len(batches) % world)]
            break
        batches[largest : largest + 1] = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    return batches
