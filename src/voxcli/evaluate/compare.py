"""Scores of two models on the same utterances -> what changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxcli.evaluate.bootstrap import Difference, difference
from voxcli.evaluate.report import percent, table
from voxcli.evaluate.scores import MEASURES, Scores


@dataclass(frozen=True)
class Comparison:
    """Two models side by side."""

    before: Scores
    after: Scores
    differences: dict[tuple[str, str], Difference | None]
    """By ("raw" | "normalised", "wer" | "cer"), over the utterances that both have."""

    def as_json(self) -> dict[str, Any]:
        """Rates before and after, and their difference with its 95 % interval."""
        made: dict[str, Any] = {}
        for (text, metric), change in self.differences.items():
            made.setdefault(text, {})[metric] = {
                "before": self.before.rates[text, metric].value,
                "after": self.after.rates[text, metric].value,
                "difference": None if change is None else change.value,
                "interval": None if change is None else list(change.interval),
                "better": None if change is None else change.better,
            }
        return made


def compare(before: Scores, after: Scores, *, seed: int = 0) -> Comparison:
    """Match the utterances of two scores by id and compare their errors in the same draws."""
    places = {name: place for place, name in enumerate(before.ids)}
    pairs = [(places[name], place) for place, name in enumerate(after.ids) if name in places]
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Comparison(
        before,
        after,
        {
            measure: difference(
                before.errors[measure][first],
                after.errors[measure][second],
                after.lengths[measure][second],
                seed=seed,
            )
            for measure in MEASURES
        },
    )


def lines(comparison: Comparison) -> Iterator[str]:
    """Before, after and the difference in percentage points; then the examples with both hypotheses."""
    rows = []
    for (text, metric), change in comparison.differences.items():
        rows.append(
            [
                f"{metric.upper()} {text}",
                percent(comparison.before.rates[text, metric].value),
                percent(comparison.after.rates[text, metric].value),
                "-" if change is None else f"{100 * change.value:+.1f}",
                "-" if change is None else " to ".join(f"{100 * bound:+.1f}" for bound in change.interval),
                "-" if change is None else f"{100 * change.better:.0f} %",
            ]
        )
    yield from table(["", "before %", "after %", "change", "95 %", "better in"], rows)
    hypotheses = {scored.utterance.id: scored.hypothesis for scored in comparison.before.examples}
    for scored in comparison.after.examples:
        yield ""
        yield scored.utterance.id
        yield f"  reference  {scored.reference}"
        if scored.utterance.id in hypotheses:
            yield f"  before     {hypotheses[scored.utterance.id]}"
        yield f"  after      {scored.hypothesis}"
