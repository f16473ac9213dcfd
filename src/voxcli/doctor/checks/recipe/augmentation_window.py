"""R128: clips that augmentation makes longer than the model's window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_TOLERANCE = 0.01  # s, as the task allows
_HOW = {"speed": "slower speech", "time-stretch": "slower speech", "mix": "joining two utterances"}


class AugmentationBeyondWindow:
    """Augmentation makes clips longer than the model takes, which are then left out of their epoch.

    Why: a clip of 28 s at factor 0.9 has 31 s, and Whisper takes 30. voxcli does not cut it, because the text would
    stay whole; it leaves the clip out whenever the slow factor is drawn. The longest clips, which hold the most speech,
    are learned least.

    Repair: `[filter] max_duration` so short that the slowest factor still fits, or factors from 1.0 up; for clips that
    `mix` joins, a smaller `max_duration` there.

    Sources: voxcli.data.preparation; Ko et al., Interspeech 2015 (factors 0.9, 1.0, 1.1).
    """

    code: ClassVar[str] = "R128"
    name: ClassVar[str] = "augmentation-beyond-window"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """Names the training utterances that can become too long."""
        import numpy as np

        from voxcli.data.batches import lengthened

        recipe, window = context.recipe, context.limits.max_duration
        if not recipe.augment or not math.isfinite(window):
            return
        train = context.data.splits.train
        slowest = float(lengthened([window], recipe.augment)[0]) / window
        if slowest <= 1.0 or not len(train):
            return
        known = np.asarray(train.durations, dtype=np.float64)
        over = known * slowest > window + _TOLERANCE
        if not over.any():
            return
        most = math.floor(window / slowest * 100) / 100
        index = next(i for i, one in enumerate(recipe.augment) if one.p > 0 and one.longest(1.0) > 1.0)
        kind = recipe.tables["augment"][index]["type"]
        yield Finding(
            "warning",
            f"{_HOW.get(kind, 'augmentation')} makes {int(over.sum())} of {len(train)} training clips longer than the "
            f"window of {window:g} s: they are left out whenever that is drawn",
            f"[filter] max_duration = {most:g}, or "
            + (f"max_duration = {window:g} in [[augment]]" if kind == "mix" else "only factors from 1.0 up"),
            path=("augment", index),
            utterances=tuple(str(one) for one in train.select(over).ids),
            fix=Fix({"filter.max_duration": most}),
        )
