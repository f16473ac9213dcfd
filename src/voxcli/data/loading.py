"""A table and batches of row numbers -> collated tensors; reading, augmentation and features run in worker processes.

What a batch holds depends on the recipe's seed, the epoch and the ids in it, never on the number of workers or on where
the loader started. A clip that cannot be used is skipped with its reason and the batch goes on without it.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, get_worker_info

from voxcli.api import Augmentation, Bundle, Limits, Task
from voxcli.data.others import OthersOf
from voxcli.data.preparation import Preparation, Skip
from voxcli.data.remembered import Remembered
from voxcli.data.table import Table
from voxcli.errors import DataError, TrainingError, VoxError

Rows = NDArray[np.int64]

_REPLACEMENTS = 100  # rows tried in place of a batch that lost all its clips, before the data count as unusable


@dataclass(frozen=True)
class Batch:
    """One collated batch and what is known about it."""

    ids: list[str]
    """B utterance ids, in the order of the tensors."""
    tensors: dict[str, Any]
    """What `Task.collate` returned; empty where no clip was left."""
    audio_duration: float
    """Sum of the clips as they went into the features, s."""
    padded_duration: float
    """B times the longest clip, s; times what the model pads it to, where it does."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(id, reason) of clips that could not be used."""
    rows: list[int] = field(default_factory=list)
    """B row numbers of the table."""
    index: int = 0
    """Place among the batches the loader was given."""


def longest_label(tensors: Mapping[str, Any]) -> int:
    """The longest label of a collated batch, in tokens; 0 where it has none, or one that stands for a whole clip."""
    lengths, labels = tensors.get("label_lengths"), tensors.get("labels")
    if isinstance(lengths, torch.Tensor) and lengths.numel():
        return int(lengths.max())
    return int(labels.shape[-1]) if isinstance(labels, torch.Tensor) and labels.dim() > 1 else 0


class Loader:
    """Batches in order. Each `iter()` begins at batch `start`; the batches before it are never read.

    `limits` are what `task.problem` compares with once a clip is augmented; None takes the model family's where
    anything augments, and asks nothing where nothing does (`load_splits` and `filters.refused` have looked then).
    `padded` says how long the model makes a clip (`batches.padding_of`), for the batches' padded seconds.
    `remembered`: what earlier epochs have read, for loaders without workers, whose memory ends with them.
    `refill`: a batch that loses all its clips takes the next row of the table that can be used, and says so in
    `skipped`; without it the batch comes out empty, which is what evaluation wants.

    Iterating raises `DataError` where no row can be used, and what `task` raises on purpose (`VoxError`).
    """

    def __init__(
        self,
        table: Table,
        batches: Sequence[Rows],
        *,
        task: Task,
        bundle: Bundle,
        augment: Sequence[Augmentation] = (),
        sampling_rate: int,
        seed: int,
        epoch: int,
        num_workers: int = 0,
        start: int = 0,
        limits: Limits | None = None,
        padded: Callable[[float], float] | None = None,
        remembered: Remembered | None = None,
        refill: bool = True,
        start_method: str | None = None,
    ) -> None:
        if limits is None and augment:
            limits = bundle.family.limits()
        self._batches = batches
        self._start = start
        self._num_workers = num_workers
        self._start_method = start_method
        self._source = _Batches(
            table,
            list(batches),
            Preparation(
                task,
                bundle.replace(model=None),
                tuple(augment),
                sampling_rate,
                seed,
                epoch,
                limits,
                OthersOf(table, sampling_rate) if augment else None,
                None if num_workers else remembered,
            ),
            refill,
            padded,
        )

    def __len__(self) -> int:
        return max(0, len(self._batches) - self._start)

    def __iter__(self) -> Iterator[Batch]:
        if not len(self):
            return
        loader: DataLoader[Batch | VoxError] = DataLoader(
            self._source,
            batch_size=None,  # each item is a batch already
            sampler=range(self._start, len(self._batches)),
            num_workers=self._num_workers,
            multiprocessing_context=self._context() if self._num_workers else None,
            worker_init_fn=_quiet_worker if self._num_workers else None,
            generator=torch.Generator().manual_seed(0),  # the global generator belongs to the model's dropout
        )
        try:
            for made in loader:
                if isinstance(made, VoxError):
                    raise made
                yield replace(made, tensors={name: _received(value) for name, value in made.tensors.items()})
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                f"a worker process that prepares batches was killed: {str(error).splitlines()[0]}",
                help="usually memory or /dev/shm ran out: lower [train] dataloader_num_workers or batch_duration",
            ) from error

    def _context(self) -> Any:
        """Fork where it is safe: the table and the processor are then shared, not pickled."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else tokenizers warns in every forked worker
        return multiprocessing.get_context(self._start_method or ("fork" if sys.platform == "linux" else "spawn"))


class _Batches(Dataset[Batch | VoxError]):
    """Batch number -> batch; what a worker process runs. An error is returned: raised, it would lose its `help`."""

    def __init__(
        self,
        table: Table,
        batches: list[Rows],
        preparation: Preparation,
        refill: bool,
        padded: Callable[[float], float] | None,
    ) -> None:
        self._table, self._batches, self._preparation, self._refill = table, batches, preparation, refill
        self._padded = padded or float

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch | VoxError:
        try:
            made = self._batch(index)
        except VoxError as error:
            return error
        if get_worker_info() is None:
            return made
        return replace(made, tensors={name: _sent(value) for name, value in made.tensors.items()})

    def _batch(self, index: int) -> Batch:
        rows = self._batches[index]
        gathered = _Gathered()
        for row in rows:
            self._take(int(row), gathered)
        if not gathered.items and self._refill and len(rows):
            self._replace(int(rows[-1]), gathered)
        tensors = self._preparation.task.collate(gathered.items, self._preparation.bundle) if gathered.items else {}
        return Batch(
            ids=gathered.ids,
            tensors=tensors,
            audio_duration=math.fsum(gathered.durations),
            padded_duration=len(gathered.durations) * self._padded(max(gathered.durations, default=0.0)),
            skipped=gathered.skipped,
            rows=gathered.rows,
            index=index,
        )

    def _take(self, row: int, gathered: _Gathered) -> None:
        utterance = self._table.utterance(row)
        try:
            item, duration = self._preparation.item(utterance)
        except Skip as skip:
            gathered.skipped.append((utterance.id, str(skip)))
            return
        gathered.ids.append(utterance.id)
        gathered.rows.append(row)
        gathered.items.append(item)
        gathered.durations.append(duration)

    def _replace(self, last: int, gathered: _Gathered) -> None:
        """The next row that can be used takes the place of a batch that lost all its clips."""
        lost = len(gathered.skipped)
        for step in range(1, min(_REPLACEMENTS, len(self._table) - 1) + 1):
            self._take((last + step) % len(self._table), gathered)
            if gathered.items:
                name, reason = gathered.skipped[lost - 1]
                gathered.skipped[lost - 1] = (name, f"{reason}; '{gathered.ids[0]}' takes the place of its whole batch")
                return
        name, reason = gathered.skipped[0]
        raise DataError(
            f"none of {len(gathered.skipped)} utterances in a row can be used; the first, '{name}': {reason}",
            help="the audio has gone, or every clip is refused: check [[data]], [filter] and [[augment]]",
        )


class _Gathered:
    """What has been collected of one batch."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.rows: list[int] = []
        self.items: list[dict[str, Any]] = []
        self.durations: list[float] = []
        self.skipped: list[tuple[str, str]] = []


@dataclass(frozen=True)
class _Sent:
    """A tensor on its way between processes: an array through the pipe.

    As a tensor it would go through shared memory, which containers give 64 MB of, by a thread in the worker that
    prints a traceback when the parent stops early.
    """

    array: NDArray[Any]


def _sent(value: Any) -> Any:
    """A value of `Batch.tensors` as it leaves a worker."""
    return _Sent(value.numpy()) if isinstance(value, torch.Tensor) and value.dtype != torch.bfloat16 else value


def _received(value: Any) -> Any:
    """A value of `Batch.tensors` as `Task.collate` made it."""
    return torch.from_numpy(value.array) if isinstance(value, _Sent) else value


def _quiet_worker(_worker: int) -> None:
    """Ctrl-C reaches the whole process group; the parent decides what happens, workers go on until it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
