"""A recipe's run in steps: its data read, its batches counted as a run would count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcli.doctor.checks.thresholds import COUNTED_UTTERANCES

if TYPE_CHECKING:
    import numpy as np

    from voxcli.doctor.context import Context

    Lengths = np.ndarray


@dataclass(frozen=True)
class RunLength:
    """Steps of a run of one process."""

    total: int
    per_epoch: int
    warmup: int
    between_evaluations: int
    batches: int
    """An epoch."""
    sample: int
    """Utterances of an evaluation."""


def padded_lengths(context: Context) -> Lengths:
    """What the model makes of each training utterance at its longest, s, shape (rows,)."""
    import numpy as np

    from voxcli.data.batches import lengthened, padding_of

    table = context.data.splits.train
    known = np.asarray(table.durations, dtype=np.float64)
    padded = padding_of(context.recipe.model, context.limits)
    longest = np.asarray(lengthened(known, context.recipe.augment), dtype=np.float64)
    if padded is None or not len(longest):
        return longest
    if padded(0.0) == padded(float(longest.max())):  # Whisper at its window: every clip is as long as the window
        return np.full(len(longest), padded(0.0))
    return np.asarray([padded(float(one)) for one in longest])


def run_length(context: Context) -> RunLength:
    """Of a run as the recipe describes it. Ends the check where the data cannot be read."""
    from voxcli.doctor.context import Unavailable
    from voxcli.train.reading import batching_of
    from voxcli.train.schedule import length

    if context.training:
        raise Unavailable("data")  # counting batches is not for a check before training
    recipe = context.recipe
    rows = len(context.data.splits.train)
    if rows <= COUNTED_UTTERANCES:
        batches = len(batching_of(recipe, context.limits, context.data.splits).epoch(0))
    else:
        size = recipe.train.per_device_train_batch_size
        seconds = float(padded_lengths(context).sum())
        batches = -(-rows // size) if size else round(seconds / float(recipe.train.batch_duration or seconds)) + 1
    validation = len(context.data.splits.validation)
    made = length(
        recipe.train,
        batches_per_epoch=max(batches, 1),
        world=1,
        utterances=rows,
        validation=validation,
        most=recipe.evaluate.max_utterances,
    )
    sample = validation if made.sample is None else min(made.sample, validation)
    return RunLength(
        made.total_steps, made.steps_per_epoch, made.warmup_steps, made.eval_steps, max(batches, 1), sample
    )
