"""R122: batches against the training split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.run_length import padded_lengths
from voxcli.doctor.checks.thresholds import BATCHES_OF_A_SMALL_SPLIT, FAR_LONGER, FEW_LONGER, MANY_EPOCHS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_ROUNDING = 1e-3  # s


class BatchNeverFull:
    """A batch, or a step with its accumulated batches, holds more than the whole training split; or less than one clip.

    Why: steps do not cross epochs. A batch larger than the split is the split, each time the same: every step is an
    epoch, and the sizes that the recipe names are never reached. A `batch_duration` below the longest clip cannot be
    kept: such a clip is a batch of its own, and memory has to suffice for it; below Whisper's window it holds not even
    one clip.

    Repair: `batch_duration` of a few tens of seconds, at least the longest clip; accumulation that a few batches of an
    epoch fill.

    Sources: voxcli.data.batches and voxcli.train.steps.
    """

    code: ClassVar[str] = "R122"
    name: ClassVar[str] = "batch-never-full"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of one process."""
        train = context.recipe.train
        lengths = padded_lengths(context)
        rows, seconds = len(lengths), float(lengths.sum())
        if not rows:
            return
        accumulated = train.gradient_accumulation_steps
        if train.per_device_train_batch_size is not None:
            size = train.per_device_train_batch_size
            few = max(1, rows // BATCHES_OF_A_SMALL_SPLIT)
            if size > rows:
                yield self._too_large("per_device_train_batch_size", f"{size}", f"{rows} utterances", few)
            elif size * accumulated > rows:
                yield self._accumulated(f"{size} utterances", f"{rows} utterances", accumulated, rows // size)
            return
        budget = float(train.batch_duration or 0.0)
        longest = float(lengths.max())
        if budget > seconds and rows > 1:
            few = max(math.ceil(seconds / BATCHES_OF_A_SMALL_SPLIT), math.ceil(longest))
            if few < budget:
                yield self._too_large("batch_duration", f"{budget:g} s", f"{seconds:.1f} s", float(few))
        elif budget * accumulated > seconds and accumulated > 1:
            yield self._accumulated(f"{budget:g} s", f"{seconds:.1f} s", accumulated, int(seconds // budget))
        if budget < longest - _ROUNDING:
            over = lengths > budget + _ROUNDING
            named = tuple(str(one) for one in context.data.splits.train.select(over).ids)
            whole = len(named) == rows
            which = "every clip" if whole else f"{len(named)} of {rows} clips"
            help, fix = (
                f"batch_duration = {math.ceil(longest)}.0",
                Fix({"train.batch_duration": float(math.ceil(longest))}),
            )
            if longest > FAR_LONGER * budget and len(named) <= max(1, FEW_LONGER * rows):
                help, fix = "cut them where nobody speaks, or leave them out", Fix(leave_out=named)
            yield Finding(
                "warning",
                f"batch_duration = {budget:g} s is shorter than {which}: the longest takes {longest:.1f} s",
                help,
                path=("train", "batch_duration"),
                utterances=() if whole else named,
                fix=fix,
            )

    def _too_large(self, key: str, size: str, whole: str, few: float) -> Finding:
        return Finding(
            "warning",
            f"{key} = {size} is more than the whole training split ({whole}): every step is an epoch",
            f"{key} = {few}",
            path=("train", key),
            fix=Fix({f"train.{key}": few}),
        )

    def _accumulated(self, size: str, whole: str, accumulated: int, most: int) -> Finding:
        fewer = max(most, 1)
        return Finding(
            "warning" if accumulated >= MANY_EPOCHS * fewer else "note",
            f"gradient_accumulation_steps = {accumulated} batches of {size} are more than the whole training split "
            f"({whole}): steps do not cross epochs, so every step is an epoch",
            f"gradient_accumulation_steps = {fewer}, or a smaller batch",
            path=("train", "gradient_accumulation_steps"),
            fix=Fix({"train.gradient_accumulation_steps": fewer}),
        )
