"""D004: clips shorter than the model can take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


_ROUNDING = 1e-4  # s


class ClipShorterThanModel:
    """Clips are shorter than one mask, or than what the model's convolutions read at once.

    Why: the convolutions of wav2vec 2.0 read 400 samples for one frame, and transformers refuses to mask a batch with
    fewer frames than one mask has: the reference scripts stop there in the middle of an epoch. `vox train` leaves the
    clips out.

    Repair: leave them out, or lower `[model] mask_time_length`; silence recorded
    around them is better.

    Sources: "mask_length has to be smaller than sequence_length" (transformers issue 15366, pull request 15423).
    """

    code: ClassVar[str] = "D004"
    name: ClassVar[str] = "clip-shorter-than-model"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Durations, as they are and as short as augmentation makes them, against the least that the config allows."""
        import numpy as np

        from voxcli.doctor.data.rows import named, of

        least = context.limits.min_duration
        if least <= 0:
            return
        for split in SPLITS:
            table = context.data.kept(split)
            short = table.durations < np.float32(least)
            if not short.any() or short.all() or context.data.filter.too_short == "pad":
                continue
            yield Finding(
                "warning",
                f"{of(int(short.sum()), len(table))} of the {split} split are shorter than the {least:.3g} s that the "
                f"model needs (down to {float(table.durations[short].min()):.3g} s) and are left out",
                f"leave them out, or set [filter] min_duration = {np.ceil(least * 100) / 100:g}; a shorter [model] "
                "mask_time_length takes shorter clips",
                utterances=named(table, short),
                fix=Fix(leave_out=context.data.leave_out(split, table, short)),
            )
        if context.recipe.augment:
            yield from self._augmented(context, least)

    def _augmented(self, context: Context, least: float) -> Iterator[Finding]:
        import numpy as np

        from voxcli.doctor.data.feasible import shortest
        from voxcli.doctor.data.rows import named, of

        table = context.data.used("train")
        short = (table.durations >= np.float32(least)) & (shortest(context) < least - _ROUNDING)
        if short.any():
            yield Finding(
                "warning",
                f"{of(int(short.sum()), len(table))} of the train split are shorter than the model's {least:.3g} s "
                "once they are played faster; those epochs pass them over",
                "leave them out, or lower the highest speed",
                path=("augment",),
                utterances=named(table, short),
                fix=Fix(leave_out=context.data.leave_out("train", table, short)),
            )
