"""A recipe's data -> the splits that a run reads and the batches it makes of them: for a run, and for a plan of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voxcli.api import Limits, Split
from voxcli.data.batches import DurationBatches, lengthened, padding_of
from voxcli.data.corpus import Splits, load_splits
from voxcli.data.table import Table
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe


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
        limits=limits,
        splits=splits,
        listed=listed,
        progress=progress,
    )


def batching_of(recipe: Recipe, limits: Limits, splits: Splits) -> DurationBatches:
    """The batches of the training split: of clips as long as augmentation can make them."""
    return DurationBatches(
        lengthened(splits.train.durations, recipe.augment),
        batch_duration=recipe.train.batch_duration,
        batch_size=recipe.train.per_device_train_batch_size,
        seed=recipe.seed,
        padded=padding_of(recipe.model, limits),
    )
