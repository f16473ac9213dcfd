"""The course of a noisy figure over a run, in medians: where it stands, how much it scatters, where it left its course.

Medians and not means: batches of a few clips scatter by a factor, and single steps by far more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxcli.doctor.run.run_log import Floats

MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
WINDOWS = 40
"""A course is looked at in so many medians at most."""
LEAST = 5
"""Figures in a window at least."""


@dataclass(frozen=True)
class Course:
    """A figure in windows of equal length."""

    starts: np.ndarray
    """Index of the first figure of each window, int64 of shape (windows,)."""
    medians: Floats
    """Shape (windows,)."""
    noise: float
    """Standard deviation of single figures around the median of their window."""

    def __len__(self) -> int:
        return len(self.medians)


def course(values: Floats, *, windows: int = WINDOWS) -> Course:
    """The course of finite figures; those that are not are left out. Empty where there are too few."""
    kept = np.flatnonzero(np.isfinite(values))
    width = max(LEAST, len(kept) // windows)
    count = len(kept) // width
    if not count:
        return Course(np.zeros(0, dtype=np.int64), np.zeros(0), 0.0)
    at = kept[len(kept) - count * width :]  # the newest figures, all of them
    grid = values[at].reshape(count, width)
    medians = np.median(grid, axis=1)
    # differences of neighbours: a slope within a window is no noise
    noise = float(np.median(np.abs(np.diff(grid, axis=1)))) * MAD / np.sqrt(2)
    return Course(at.reshape(count, width)[:, 0], medians, noise)


@dataclass(frozen=True)
class Departure:
    """Where a figure that had been falling rose and stayed."""

    at: int
    """Index of the first figure of the first window that is high."""
    low: float
    """The lowest median before."""
    level: float
    """Where it stands at the end."""


def departure(values: Floats, *, rise: float, factor: float, noise: float, lasting: int) -> Departure | None:
    """Where the medians left their lowest level for good: by `rise` of the way they had come down, by `factor`, by
    `noise` times what neighbouring medians differ by, and for `lasting` windows.
    """
    seen = course(values)
    if len(seen) < 2 * lasting:
        return None
    lowest = int(np.argmin(seen.medians[:-lasting]))
    low, level = float(seen.medians[lowest]), float(np.median(seen.medians[-lasting:]))
    # a figure that began high came down in its first windows
    first = float(seen.medians[: lowest + 1].max())
    way = max(first - low, 0.25 * abs(first))
    up = level - low
    apart = float(np.median(np.abs(np.diff(seen.medians)))) * MAD / np.sqrt(2)
    if up < rise * way or level < factor * low or up < noise * apart or up < seen.noise:
        return None
    threshold = low + 0.5 * up
    high = seen.medians > threshold
    begin = len(high) - int(np.argmin(high[::-1])) if not high.all() else 0
    if len(high) - begin < lasting:
        return None
    return Departure(int(seen.starts[begin]), low, level)


def usual(values: Floats, *, width: int = 100) -> Floats:
    """For each figure the median of about `width` figures before it; NaN for the first ones. Figures that are not
    finite count for nothing.
    """
    half = max(1, width // 2)
    found = np.full(len(values), np.nan)
    for begin in range(half, len(values), half):
        found[begin : begin + half] = _median(values[max(0, begin - width) : begin])
    return found


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan
