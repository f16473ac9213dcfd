"""`too_long` of [filter] and the task: what may be cut."""

from __future__ import annotations

from typing import Any

from voxcli.recipe.problems import Problems


def check_cuts(filter: Any, task: Any, problems: Problems) -> None:
    """A finding where a clip would be cut and its text be left whole. `task` is None where it is not known."""
    if filter is None or task is None:
        return
    learns_text = getattr(task, "transcripts", True)
    if filter.too_long == "crop" and learns_text:
        problems.add(
            "R016",
            'too_long = "crop" would cut what is said and leave its text whole',
            'too_long = "drop"; or "chunk", where the data say the times of their `segments`',
            ("filter", "too_long"),
        )
