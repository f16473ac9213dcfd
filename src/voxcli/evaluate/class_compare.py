"""Scores of two classifiers on the same utterances -> what changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxcli.evaluate.classes import ClassScores, Draws, cut
from voxcli.evaluate.report import percent, table

FIGURES = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Change:
    """One figure of both."""

    before: float
    after: float
    interval: tuple[float, float] | None
    """95 % of after - before, by bootstrap over the utterances that both have."""
    better: float | None
    """Share of the draws in which it is higher after."""


def compare(before: ClassScores, after: ClassScores, *, seed: int = 0) -> dict[str, Change]:
    """accuracy and macro_f1 of both, in the same draws."""
    told = {clip.utterance.id: clip.prediction.chosen for clip in before.clips}
    shared = [clip for clip in after.clips if clip.utterance.id in told]
    drawn = None
    if len(shared) > 1:
        patterns = [(clip.held, told[clip.utterance.id], clip.prediction.chosen) for clip in shared]
        drawn = Draws.of(patterns, seed=seed)
    made = {}
    for name in FIGURES:
        interval, better = None, None
        if drawn is not None:
            gain = getattr(drawn, name)(1) - getattr(drawn, name)(0)
            interval, better = cut(gain), float(np.mean(gain > 0))
        made[name] = Change(before.figures[name], after.figures[name], interval, better)
    return made


def as_json(changes: dict[str, Change]) -> dict[str, Any]:
    """By figure: before, after, difference, its interval, share of the draws in which it is better."""
    return {
        name: {
            "before": one.before,
            "after": one.after,
            "difference": one.after - one.before,
            "interval": None if one.interval is None else list(one.interval),
            "better": one.better,
        }
        for name, one in changes.items()
    }


def lines(changes: dict[str, Change]) -> Iterator[str]:
    """Before, after and the difference in percentage points."""
    rows = [
        [
            {"accuracy": "accuracy", "macro_f1": "macro F1"}[name],
            percent(one.before),
            percent(one.after),
            f"{100 * (one.after - one.before):+.1f}",
            "-" if one.interval is None else " to ".join(f"{100 * bound:+.1f}" for bound in one.interval),
            "-" if one.better is None else f"{100 * one.better:.0f} %",
        ]
        for name, one in changes.items()
    ]
    yield from table(["", "before %", "after %", "change", "95 %", "better in"], rows)
