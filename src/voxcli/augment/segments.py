"""Segments at other times, after the clip was stretched or moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voxcli.api import Segment


def moved(segments: Iterable[Segment], *, factor: float = 1.0, later: float = 0.0) -> tuple[Segment, ...]:
    """Segments and their words, each time multiplied by `factor`, then `later` s added."""
    return tuple(
        replace(
            one,
            start=one.start * factor + later,
            end=one.end * factor + later,
            words=tuple(
                replace(word, start=word.start * factor + later, end=word.end * factor + later) for word in one.words
            ),
        )
        for one in segments
    )
