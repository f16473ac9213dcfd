"""D075: clips longer than the model takes in one piece."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ClipLongerThanModel:
    """Clips are longer than the model's window.

    Why: Whisper sees 30 s and no more. Other tools cut the audio there and keep the whole text, which teaches the model
    to make up what it does not hear. `vox train` leaves the clips out, and they are often the longest recordings.

    Repair: cut them where nobody speaks, each piece with its own text; `[filter] max_duration` equal to the window says
    that they are meant to be left out.

    Sources: arXiv 2212.04356 (30 s); WhisperFeatureExtractor of transformers, truncation=True.
    """

    code: ClassVar[str] = "D075"
    name: ClassVar[str] = "clip-longer-than-model"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Durations against the window, where `[filter] max_duration` is not set to it."""
        import numpy as np

        from voxcli.data.corpus import clock
        from voxcli.doctor.data.rows import named, of

        longest = context.limits.max_duration
        if math.isinf(longest) or context.data.cut or context.data.filter.too_long != "drop":
            return
        for split in SPLITS:
            table = context.data.kept(split)
            long = table.durations > np.float32(longest)
            if not long.any() or long.all():
                continue
            lost = table.select(long)
            yield Finding(
                "warning",
                f"{of(len(lost), len(table))} of the {split} split ({clock(lost.duration)} of {clock(table.duration)}) "
                f"are longer than the {longest:g} s that the model takes in one piece, and are left out",
                f"cut them where nobody speaks; [filter] max_duration = {longest:g}, where that is meant",
                path=("filter", "max_duration"),
                utterances=named(table, long),
                fix=Fix({"filter.max_duration": longest}),
            )
