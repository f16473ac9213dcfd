"""Classifications and the labels that hold -> accuracy, macro F1, mean average precision.

Accuracy counts the recordings whose every class is right. The F1 of a class is the harmonic mean of precision and
recall; its mean over the classes counts each alike, however rare it is. Average precision is the area under a class's
curve of precision over recall, without interpolation (Manning, Raghavan and Schütze, Introduction to Information
Retrieval, 2008, section 8.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from voxcli.predictions import Classification

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Names = tuple[str, ...]


def accuracy(predictions: Sequence[Classification], references: Sequence[Names]) -> float:
    """Share of the recordings that are taken for exactly the labels that hold; 0.0 of none."""
    right = sum(set(one.chosen) == set(held) for one, held in zip(predictions, references, strict=True))
    return right / len(references) if references else 0.0


def macro_f1(predictions: Sequence[Classification], references: Sequence[Names]) -> float:
    """Mean F1 of the classes that hold or are chosen somewhere; 0.0 where there are none."""
    counts = outcomes((one.chosen for one in predictions), references)
    scores = [f1(*counted) for counted in counts.values()]
    return sum(scores) / len(scores) if scores else 0.0


def mean_average_precision(predictions: Sequence[Classification], references: Sequence[Names]) -> float:
    """Mean of the average precisions of the classes that hold somewhere; 0.0 where there are none.

    It looks at the scores alone: no threshold comes into it.
    """
    import numpy as np

    held = sorted({name for names in references for name in names})
    if not held:
        return 0.0
    scored = [dict(zip(one.labels, one.scores, strict=True)) for one in predictions]
    found = []
    for name in held:
        scores = np.asarray([row.get(name, 0.0) for row in scored], dtype=np.float64)
        found.append(average_precision(scores, np.asarray([name in names for names in references])))
    return float(np.mean(found))


def average_precision(scores: ArrayLike, holds: ArrayLike) -> float:
    """Scores (n,) and whether the class holds (n,) -> the mean precision at each recording of the class.

    Recordings of equal score are one step: their order must not matter.
    """
    import numpy as np

    given, true = np.asarray(scores, dtype=np.float64), np.asarray(holds, dtype=np.float64)
    if not true.any():
        return 0.0
    order = np.argsort(-given, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(given[order])), len(given) - 1)  # last of each group of equal scores
    right = np.cumsum(true[order])[ends]
    gained = np.diff(right, prepend=0.0)
    return float(np.sum(gained * right / (ends + 1)) / true.sum())


def outcomes(chosen: Iterable[Names], references: Iterable[Names]) -> dict[str, tuple[int, int, int]]:
    """(hits, wrongly chosen, missed) of each class that holds or is chosen somewhere, by name."""
    found: dict[str, list[int]] = {}
    for names, held in zip(chosen, references, strict=True):
        for name in {*names, *held}:
            place = 0 if name in names and name in held else 1 if name in names else 2
            found.setdefault(name, [0, 0, 0])[place] += 1
    return {name: (counts[0], counts[1], counts[2]) for name, counts in sorted(found.items())}


def f1(hits: int, wrong: int, missed: int) -> float:
    """2 hits / (2 hits + wrong + missed); 0.0 of nothing."""
    whole = 2 * hits + wrong + missed
    return 2 * hits / whole if whole else 0.0
