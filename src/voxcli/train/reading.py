"""A recipe's data -> the splits that a run reads and the batches it makes of them: for a run, and for a plan of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from math import inf

from voxcli.api import Bundle, Limits, Split, Task
from voxcli.data.batches import DurationBatches, lengthened, padding_of
from voxcli.data.corpus import Splits, load_splits
from voxcli.data.filters import refused
from voxcli.data.lengths import cut_splits
from voxcli.data.mixing import mix_of
from voxcli.data.table import Table
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe
from voxcli.recipe.schema import Train


def splits_of(
    recipe: Recipe,
    limits: Limits,
    *,
    splits: Sequence[Split] = ("train", "validation"),
    listed: Mapping[Split, Table] | None = None,
    progress: Progress = NULL,
) -> Splits:
    """Splits after `[filter]`, `[text]`, `[holdout]` and the model's limits; `listed` as in `load_splits`.

    Raises `DataError` where the data cannot be read, and where nothing is left.
    """
    return load_splits(
        recipe.data,
        recipe.filter,
        recipe.text,
        recipe.holdout,
        limits=limits_of(recipe, limits),
        splits=splits,
        labels=getattr(recipe.task, "learns", "text") == "label",
        transcripts=getattr(recipe.task, "transcripts", True),
        cut=cut_splits(recipe.task),
        listed=listed,
        progress=progress,
    )


def limits_of(recipe: Recipe, limits: Limits) -> Limits:
    """What leaves clips out: the model's limits, but for its window where clips are cut to it."""
    return dataclasses.replace(limits, max_duration=inf) if cuts_long_clips(recipe) else limits


def cuts_long_clips(recipe: Recipe) -> bool:
    """Whether a clip beyond the model's window is cut, because no text has to fit it, and not left out."""
    return bool(getattr(recipe.model, "cuts_long_clips", False))


def usable(splits: Splits, recipe: Recipe, limits: Limits, bundle: Bundle, *, progress: Progress = NULL) -> Splits:
    """Leave out of the training split what has no loss: labels that do not fit the frames or the decoder.

    Validation keeps them: what is said there can be scored without a loss. Raises `DataError` where nothing is left.
    """
    bound = getattr(recipe.task, "candidates", None)
    train, gone = refused(
        splits.train,
        "train",
        lambda utterance: recipe.task.problem(utterance, limits, bundle),
        candidates=None if bound is None else lambda table: bound(table, limits, bundle),
        progress=progress,
    )
    if not len(train):
        raise DataError("the model can use none of the training utterances", help="; ".join(str(drop) for drop in gone))
    return dataclasses.replace(splits, train=train, drops=[*splits.drops, *gone])


def batching_of(recipe: Recipe, limits: Limits, splits: Splits) -> DurationBatches:
    """The batches of the training split: of clips as long as augmentation can make them."""
    return DurationBatches(
        lengthened(splits.train.durations, recipe.augment),
        batch_duration=recipe.train.batch_duration,
        batch_size=recipe.train.per_device_train_batch_size,
        seed=recipe.seed,
        padded=padding_of(recipe.model, limits),
        mix=mix_of(splits.train.origins, recipe.weights, seed=recipe.seed),
        grouped=grouped(recipe.task, recipe.train),
    )


def grouped(task: Task, train: Train) -> bool:
    """Whether clips of similar length share a batch: by `[train] group_by_length`, else as the task wants it."""
    asked = train.group_by_length
    return bool(getattr(task, "groups_by_length", True)) if asked is None else asked
