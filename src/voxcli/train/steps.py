"""The batches of a run, grouped into optimizer steps, from wherever the run stands.

A step takes `gradient_accumulation_steps` batches for each process; batch j of a step goes to process j mod world, so
that two processes see in one step what one process sees with twice the accumulation. Steps do not cross epochs: the
last step of an epoch takes what is left, and a process may find nothing for it there.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from voxcli.data.loading import Batch

if TYPE_CHECKING:
    from voxcli.train.run import Run


@dataclass(frozen=True)
class Step:
    """What one optimizer step is computed from, in this process."""

    epoch: int
    position: int
    """Its first batch in the epoch, over all processes."""
    after: int
    """The first batch in the epoch that it does not use."""
    count: int
    """Batches in the epoch, over all processes."""
    batches: list[Batch] = field(repr=False)
    waited: float = 0.0
    """How long the training process waited for these batches, s."""

    @property
    def utterances(self) -> tuple[str, ...]:
        """The ids of this process's batches."""
        return tuple(name for batch in self.batches for name in batch.ids)

    @property
    def audio_duration(self) -> float:
        """Sum over the utterances, s."""
        return math.fsum(batch.audio_duration for batch in self.batches)

    @property
    def padded_duration(self) -> float:
        """With the padding of each batch to its longest utterance, s."""
        return math.fsum(batch.padded_duration for batch in self.batches)


def steps(run: Run) -> Iterator[Step]:
    """Every step from `run.state` on, without end: the caller stops when it has taken enough.

    Without worker processes a thread reads one step ahead, so that decoding and features use what the forward and
    backward pass leave idle.
    """
    source = _read(run)
    if run.recipe.train.dataloader_num_workers:
        yield from source
        return
    # the small operations of feature extraction gain nothing from threads of their own, and would wait for the model's
    with ThreadPoolExecutor(1, "vox-read", initializer=torch.set_num_threads, initargs=(1,)) as reader:
        coming: Future[Step] | None = None
        for left in itertools.count(run.total_steps - run.state.step, -1):
            begin = time.perf_counter()
            step = (coming or reader.submit(next, source)).result()
            waited = time.perf_counter() - begin
            coming = reader.submit(next, source) if left > 1 else None  # nobody wants one behind the last
            yield dataclasses.replace(step, waited=waited)


def _read(run: Run) -> Iterator[Step]:
    epoch, position = run.state.epoch, run.state.position
    per_step = run.world * run.recipe.train.gradient_accumulation_steps
    while True:
        count = len(run.batches(epoch))
        if position < count:
            loader = iter(run.loader(epoch, position, run.rank, run.world))
            while position < count:
                after = min(position + per_step, count)
                begin = time.perf_counter()
                batches = [next(loader) for _ in range(position + run.rank, after, run.world)]
                yield Step(epoch, position, after, count, batches, time.perf_counter() - begin)
                position = after
            del loader
        epoch, position = epoch + 1, 0
