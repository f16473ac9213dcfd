"""What is drawn from the ranges that keys hold; their ends may stand in either order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def between(ends: tuple[float, float], rng: np.random.Generator) -> float:
    """A number between both ends, each as likely as the others."""
    return float(rng.uniform(min(ends), max(ends)))


def count(ends: tuple[int, int], rng: np.random.Generator) -> int:
    """A whole number from one end to the other, both allowed."""
    return int(rng.integers(min(ends), max(ends) + 1))
