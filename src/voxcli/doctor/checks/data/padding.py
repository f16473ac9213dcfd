"""D060: batches that are padding for a large part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import PADDING, PADDING_SAVED
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class PaddingWaste:
    """A large part of each batch is padding.

    Why: padding is computed like speech, and kept in memory like speech. Batches of a number of clips take the memory
    of their longest clip times their number; batches by duration hold many short clips or a few long ones.

    Repair: `[train] batch_duration` instead of `per_device_train_batch_size`.

    Sources: lhotse's dynamic bucketing sampler; batches by duration keep 5 % (`voxcli.data.batches`).
    """

    code: ClassVar[str] = "D060"
    name: ClassVar[str] = "padding-waste"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """The batches of the first epoch, and those of the same number of clips on average by duration."""
        from voxcli.data.batches import DurationBatches, padding_of
        from voxcli.train.reading import batching_of

        recipe, limits = context.recipe, context.limits
        size = recipe.train.per_device_train_batch_size
        if size is None or recipe.train.batch_duration is not None or len(context.data.used("train")) < 2:
            return
        batching = batching_of(recipe, limits, context.data.splits)
        if not batching.grouped:  # on purpose
            return
        padded = padding_of(recipe.model, limits)
        if padded is not None and padded(0.0) >= limits.max_duration:  # every clip fills a window: no batch is better
            return
        share = batching.padding_share(0)
        if share <= PADDING:
            return
        durations = batching.durations
        budget = max(float(durations.max()), round(size * float(durations.mean()), 1))
        other = DurationBatches(durations, batch_duration=budget, batch_size=None, seed=recipe.seed, padded=padded)
        saved = other.padding_share(0)
        if saved > share * PADDING_SAVED:
            return
        yield Finding(
            "warning",
            f"{share:.0%} of what the batches of {size} clips hold is padding; batch_duration = {budget:g} s holds "
            f"{len(durations) / max(1, len(other.epoch(0))):.3g} clips on average, {saved:.0%} of it padding",
            f"[train] batch_duration = {budget:g} instead of per_device_train_batch_size",
            path=("train", "per_device_train_batch_size"),
            fix=Fix({"train.per_device_train_batch_size": None, "train.batch_duration": budget}),
        )
