"""R117: `[filter]` durations against what the model takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_ROUNDING = 1e-3  # s


class FilterBeyondModel:
    """`[filter] max_duration` is longer than the model's window, or `min_duration` shorter than it can process.

    Why: longer clips are left out all the same, because a Whisper would cut the audio and keep the whole text. The
    recipe promises clips that training never sees. A `min_duration` above the window leaves nothing.

    Repair: `max_duration` equal to the window; cut longer recordings where nobody speaks.

    Sources: arXiv 2212.04356 (30 s); voxcli.data.filters: the model's limits hold beside `[filter]`.
    """

    code: ClassVar[str] = "R117"
    name: ClassVar[str] = "filter-beyond-model"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe and the limits of the model."""
        rules, limits = context.recipe.filter, context.limits
        shortest, longest, window = rules.min_duration, rules.max_duration, limits.max_duration
        if shortest is not None and shortest >= window:
            yield Finding(
                "error",
                f"[filter] min_duration = {shortest:g} s is not below the model's window of {window:g} s: nothing is "
                "left",
                "remove min_duration",
                path=("filter", "min_duration"),
                fix=Fix({"filter.min_duration": None}),
            )
        elif shortest is not None and 0 < shortest < limits.min_duration - _ROUNDING and not context.training:
            yield Finding(
                "note",
                f"[filter] min_duration = {shortest:g} s, and the model needs {limits.min_duration:g} s: shorter clips "
                "are left out",
                f"min_duration = {math.ceil(limits.min_duration * 100) / 100:g}",
                path=("filter", "min_duration"),
            )
        if longest is not None and longest > window + _ROUNDING:
            yield Finding(
                "warning",
                f"[filter] max_duration = {longest:g} s is beyond the model's window of {window:g} s: longer clips are "
                "left out",
                f"max_duration = {window:g}; cut longer recordings where nobody speaks",
                path=("filter", "max_duration"),
                fix=Fix({"filter.max_duration": window}),
            )
        if longest is not None and longest <= limits.min_duration:
            yield Finding(
                "error",
                f"[filter] max_duration = {longest:g} s is not above the {limits.min_duration:g} s that the model "
                "needs: nothing is left",
                "remove max_duration",
                path=("filter", "max_duration"),
                fix=Fix({"filter.max_duration": None}),
            )
