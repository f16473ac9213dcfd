"""Sizes of the same storages in two traces -> with what each grows: the batch, its frames, its labels, their products.

The two traces differ in clips, frames and labels by factors whose products are all different, so the factor by which a
storage grew says which product it is. What is left over, for example the one class more in 2U + 1, is a lower term.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxcli.memory.setup import Setup, Shape

Floats = NDArray[np.float64]

FEATURES: dict[str, Callable[[float, float, float, float], float]] = {
    "1": lambda b, f, s, u: 1.0,
    "B": lambda b, f, s, u: b,
    "Bs": lambda b, f, s, u: b * s,
    "BT": lambda b, f, s, u: b * f,
    "BTT": lambda b, f, s, u: b * f * f,
    "BU": lambda b, f, s, u: b * u,
    "BUU": lambda b, f, s, u: b * u * u,
    "BTU": lambda b, f, s, u: b * f * u,
    "T": lambda b, f, s, u: f,
    "TT": lambda b, f, s, u: f * f,
    "U": lambda b, f, s, u: u,
    "UU": lambda b, f, s, u: u * u,
}
"""Terms of clips B, frames T (whole ones), length s in frames (with its fraction) and labels U."""
_NAMES = tuple(FEATURES)
_TERMS = {
    "1": "1",
    "B": "1",
    "BT": "B",
    "BTT": "BT",
    "BU": "B",
    "BUU": "BU",
    "BTU": "BT",
    "T": "1",
    "TT": "T",
    "U": "1",
    "UU": "U",
}
"""What a storage can grow with -> the lower term that may be beside it."""
_EXACT = 1e-9

CLIPS = (2, 4)
_FRAMES = (104, 152)  # 8 more than a multiple of 16: attention masks are padded to one
_LABELS = (60, 69)


@dataclass(frozen=True)
class Frames:
    """How many frames a model makes of a clip, as its family says."""

    family: Any
    sampling_rate: int
    stride: int
    """Samples a frame."""
    window: float
    """The longest clip in one piece, s."""
    max_labels: int | None

    @classmethod
    def of(cls, setup: Setup) -> Frames:
        """From the family's limits: its config alone."""
        limits = setup.family.limits()
        return cls(
            setup.family, limits.sampling_rate, max(limits.stride, 1), limits.max_duration, limits.max_label_length
        )

    def __call__(self, duration: float) -> tuple[float, float]:
        """(whole frames, length in frames) of a clip of `duration` s."""
        padded = getattr(self.family, "padded_duration", None)
        if callable(padded):
            n_samples = round(padded(duration, self.window) * self.sampling_rate)
            whole = float(-(-n_samples // self.stride))
            return whole, whole
        n_samples = round(duration * self.sampling_rate)
        exact = (n_samples - self._first) / self.stride
        counted = getattr(self.family, "frames", None)
        whole = float(counted(n_samples)) if callable(counted) else math.floor(exact)
        return whole, max(exact, whole)

    def features(self, shape: Shape) -> Floats:
        """The terms of a shape, (features,)."""
        whole, length = self(shape.duration)
        sizes = float(shape.n_utterances), whole, length, float(shape.n_labels)
        return np.asarray([term(*sizes) for term in FEATURES.values()])

    def two_shapes(self) -> tuple[Shape, Shape]:
        """Batches that tell all terms apart."""
        few, many = _FRAMES
        most = self(self.window)[0] if math.isfinite(self.window) else math.inf
        if many > most:
            many = max(int((most - 8) // 16 * 16 + 8), 2)
            few = max(many - 48, many // 2, 1)
        labels = min(_LABELS[1], self.max_labels or _LABELS[1])
        fewer = min(_LABELS[0], max(1, round(labels / 1.15)))
        return (
            Shape(CLIPS[0], self._duration(few), fewer),
            Shape(CLIPS[1], self._duration(many), labels),
        )

    @cached_property
    def _first(self) -> int:
        """Samples by which a clip of T frames is at least longer than T strides; negative where it is shorter."""
        counted = getattr(self.family, "frames", None)
        if not callable(counted):
            return 0
        high = 2000 * self.stride
        wanted = counted(high)
        low = high - 2 * self.stride
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if counted(middle) >= wanted else (middle, high)
        return int(high - wanted * self.stride)

    def _duration(self, n_frames: int) -> float:
        """A clip of exactly that many frames, s."""
        if callable(getattr(self.family, "padded_duration", None)):
            low, high = 0.0, min(self.window, 60.0)
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (low, middle) if self(middle)[0] >= n_frames else (middle, high)
            return min(high + 1e-4, self.window)
        return (n_frames * self.stride + self._first) / self.sampling_rate


def coefficients(small: ArrayLike, large: ArrayLike, sizes: tuple[Floats, Floats], *, rounding: int = 1) -> Floats:
    """Sizes (n,) in two traces, and the features of these -> (n, features): what each size is a sum of.

    `rounding`: bytes to a multiple of which the allocator rounds up; to what grows, the mean of both cases is added.
    """
    values = np.stack([np.asarray(small, dtype=np.float64), np.asarray(large, dtype=np.float64)])
    different, which = np.unique(values, axis=1, return_inverse=True)
    made = np.zeros((different.shape[1], len(_NAMES)))
    for index, (one, other) in enumerate(different.T):
        made[index] = _explained(float(one), float(other), sizes, rounding)
    return made[which.reshape(-1)]


def _explained(small: float, large: float, sizes: tuple[Floats, Floats], rounding: int) -> Floats:
    found = np.zeros(len(_NAMES))
    if small == large:
        found[0] = small + -small % rounding
        return found
    best: tuple[float, str, float, float] | None = None
    for term, beside in _TERMS.items():
        main, lower = _NAMES.index(term), _NAMES.index(beside)
        a, b = sizes[0][main], sizes[0][lower]
        c, d = sizes[1][main], sizes[1][lower]
        determinant = a * d - b * c
        if abs(determinant) <= _EXACT * abs(a * d) or main == lower:
            continue
        first, second = (small * d - b * large) / determinant, (a * large - small * c) / determinant
        rest = abs(second * d) / max(abs(large), 1.0)
        if first > 0 and (best is None or rest < best[0] - _EXACT):
            best = rest, term, first, second
    if best is None:  # it became smaller: as large as it has been
        found[0] = max(small, large)
        return found
    rest, term, first, second = best
    if term == "BT" and rest > _EXACT:
        term = "Bs"  # a length before the frames: it grows with every sample
    found[_NAMES.index(term)] += first
    if rest > _EXACT:
        found[_NAMES.index(_TERMS["BT" if term == "Bs" else term])] += second
    found[0] += (-small % rounding + -large % rounding) / 2
    return found
