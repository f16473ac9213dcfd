"""D061: windows of Whisper that are silence for the larger part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import WINDOW_PADDING
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WindowPadding:
    """Clips are short, and each is filled up to the model's whole window.

    Why: Whisper's encoder works on 30 s whatever was said. On clips of 3 s nine tenths of its work is silence. With
    `encoder_context = "merged"` that silence stands as 100 positions instead of up to 1500; the texts stay nearly the
    same, and the checkpoint an ordinary one. A classifier needs none of it: there `"clip"` is the clip's own length.

    Repair: `[model] encoder_context = "merged"`, of a classifier `"clip"`.

    Sources: measured with Whisper tiny.en on English prompts: 5.0 times as fast, word error rate 5.3 % against 5.8 %
    (docs/performance.md); token merging with proportional attention, arXiv 2210.09461.
    """

    code: ClassVar[str] = "D061"
    name: ClassVar[str] = "window-padding"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Mean clip against the window, for families that have the choice."""
        model, limits = context.recipe.model, context.limits
        if getattr(model, "encoder_context", None) != "window" or math.isinf(limits.max_duration):
            return
        if context.recipe.task_name == "classification" and context.config.get("model_type") != "whisper":
            return  # AST has no choice
        durations = context.data.used("train").durations
        mean = float(durations.mean(dtype="float64"))
        share = 1.0 - mean / limits.max_duration
        if share > WINDOW_PADDING:
            yield Finding(
                "note",
                f"{share:.0%} of the windows of {limits.max_duration:g} s is silence: the clips have {mean:.1f} s on "
                "average",
                f'[model] encoder_context = "{_better(context)}" leaves most of it out, several times as fast',
                path=("model", "encoder_context"),
            )


def _better(context: Context) -> str:
    """The context for short clips: of text with the window's result, of classes the clip alone."""
    return "clip" if context.recipe.task_name == "classification" else "merged"
