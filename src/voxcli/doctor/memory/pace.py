"""How fast features are made here, measured on a few clips, and how fast a device would train on them, estimated."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxcli.data.others import OthersOf
from voxcli.data.preparation import Preparation, Skip
from voxcli.errors import VoxError

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

CLIPS = 6
_ENOUGH = 2.0  # s of measuring


@dataclass(frozen=True)
class Pace:
    """Seconds of audio a second, and the seconds of audio of the whole run."""

    prepared: float
    """By one process: decoding, augmentation, features."""
    trained: float
    """By the device, an estimate."""
    audio: float


def processors() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def pace(context: Context) -> Pace | None:
    """None where no clip can be prepared, or where the step cannot be followed for other sizes."""
    from voxcli.memory import speed
    from voxcli.memory.frontier import Frontier
    from voxcli.memory.roles import Mismatch
    from voxcli.memory.setup import Shape

    prepared = _prepared(context)
    if prepared is None:
        return None
    prediction = context.prediction
    worst = prediction.phases[0].shape
    try:
        frontier = Frontier.fit(prediction.setup)
    except (VoxError, Mismatch):
        return None
    typical = float(np.median(context.data.splits.train.durations))
    train = context.recipe.train
    clips = max(worst.n_utterances, int(train.batch_duration / typical) if train.batch_duration else 1)
    shape = Shape(clips if train.per_device_train_batch_size is None else worst.n_utterances, typical, worst.n_labels)
    trained = shape.n_utterances * shape.duration / speed.seconds(frontier, shape)
    return Pace(prepared, trained, _audio(context, shape.n_utterances * shape.duration))


def _audio(context: Context, batch: float) -> float:
    """s of audio that the whole run trains on."""
    train = context.recipe.train
    if train.max_steps is not None:
        return train.max_steps * train.gradient_accumulation_steps * batch
    return float(train.num_train_epochs or 1.0) * float(context.data.splits.train.duration)


def _prepared(context: Context) -> float | None:
    """s of audio a second that one process prepares, over the clips in the middle of the split's durations."""
    recipe, table, limits = context.recipe, context.data.splits.train, context.limits
    if not len(table):
        return None
    durations = np.asarray(table.durations)
    middle = np.argsort(np.abs(durations - np.median(durations)), kind="stable")[: CLIPS + 1]
    bundle = context.bundle.replace(model=None)
    rate = limits.sampling_rate
    augment, others = tuple(recipe.augment), OthersOf(table, rate)
    makes = Preparation(recipe.task, bundle, augment, rate, recipe.seed, 0, limits, others)
    audio = seconds = 0.0
    for number, row in enumerate(middle):
        begin = time.perf_counter()
        try:
            _, duration = makes.item(table.utterance(int(row)))
        except Skip:
            continue
        if number:  # the first one also imports and warms up
            audio, seconds = audio + duration, seconds + time.perf_counter() - begin
        if seconds > _ENOUGH:
            break
    return audio / seconds if seconds > 0 else None
