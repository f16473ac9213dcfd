"""Values -> counts in bins with round edges, and the same as bars of text."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
BINS = 10  # about so many
TAIL = 0.99  # of the values stand in bins of one width; the rest shares the last one
BAR = 40  # characters of the longest bar


class Bin(NamedTuple):
    """Values from `low` on and below `high`; the last one has no upper edge."""

    low: float
    high: float | None
    utterances: int


def histogram(values: ArrayLike, *, bins: int = BINS) -> list[Bin]:
    """Bins from 0 on, of one width; the last takes whatever is longer. None for no values."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return []
    top = float(np.quantile(known, TAIL, method="lower")) or 1.0
    width = _round(top / bins)
    edges = np.arange(0.0, top + width, width)
    which = np.minimum(np.floor_divide(known, width).astype(np.int64), len(edges) - 1)
    counts = np.bincount(np.maximum(which, 0), minlength=len(edges))
    used = int(np.flatnonzero(counts).max()) + 1
    last = float(known.max())
    return [
        Bin(float(low), None if number == used - 1 and last >= low + width else float(low + width), int(count))
        for number, (low, count) in enumerate(zip(edges[:used], counts[:used], strict=True))
    ]


def summary(values: ArrayLike) -> dict[str, Any]:
    """Least, most and what lies between, and the histogram; empty for no values."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return {}
    low, median, high = (round(float(one), 3) for one in np.quantile(known, (0.05, 0.5, 0.95)))
    return {
        "least": round(float(known.min()), 3),
        "5 %": low,
        "median": median,
        "mean": round(float(known.mean()), 3),
        "95 %": high,
        "most": round(float(known.max()), 3),
        "histogram": [one._asdict() for one in histogram(known)],
    }


def bars(summed: dict[str, Any], title: str, unit: str) -> list[str]:
    """`summary` for a person: a line of figures, then a bar for each bin."""
    if not summed:
        return []
    figures = ", ".join(f"{name} {summed[name]:g}" for name in ("least", "median", "mean", "95 %", "most"))
    rows = [f"{title}, {unit}: {figures}"]
    most = max(one["utterances"] for one in summed["histogram"])
    labels = [_label(one) for one in summed["histogram"]]
    wide = max(map(len, labels))
    for label, one in zip(labels, summed["histogram"], strict=True):
        length = max(1, round(BAR * one["utterances"] / most)) if one["utterances"] else 0
        rows.append(f"  {label:>{wide}}  {'█' * length}{' ' if length else ''}{one['utterances']:,}")
    return rows


def _label(one: dict[str, Any]) -> str:
    return f"{one['low']:g} and more" if one["high"] is None else f"{one['low']:g} to {one['high']:g}"


def _round(width: float) -> float:
    """A round number that is no smaller."""
    power = 10.0 ** np.floor(np.log10(width)) if width > 0 else 1.0
    return float(next((step * power for step in STEPS if step * power >= width * 0.999), 10 * power))
