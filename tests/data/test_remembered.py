"""What epochs keep: copies, as far as there is room, and only what can be counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from voxcli.data.remembered import MOST_BYTES, Remembered


def test_who_changes_what_is_given_changes_nothing_kept() -> None:
    kept = Remembered()
    made = {"features": np.ones(4, dtype=np.float32), "labels": [1, 2], "mask": torch.ones(3)}
    first = kept.of("a", lambda: made)
    for one in (first, kept.of("a", _never)):
        one["features"] *= 0
        one["labels"].append(3)
        one["mask"].zero_()
    again = kept.of("a", _never)
    assert again["features"].tolist() == [1.0] * 4
    assert again["labels"] == [1, 2]
    assert again["mask"].tolist() == [1.0] * 3


def test_what_came_first_stays_and_the_rest_is_made_each_time() -> None:
    kept, made = Remembered(most=1000), []

    def make(name: str) -> np.ndarray:
        made.append(name)
        return np.zeros(120, dtype=np.float32)

    for _ in range(3):
        for name in "abcd":
            kept.of(name, lambda name=name: make(name))  # type: ignore[misc]
    assert made == list("abcd") + list("cd") * 2


@pytest.mark.parametrize("value", [object(), {"a": [lambda: 0]}, np.array([object()], dtype=object)])
def test_what_cannot_be_counted_is_made_each_time(value: Any) -> None:
    kept = Remembered()
    assert kept.of("a", lambda: value) is value
    assert kept.of("a", lambda: 2) == 2


def test_an_error_is_not_kept() -> None:
    kept = Remembered()
    with pytest.raises(OSError, match="gone"):
        kept.of("a", _gone)
    assert kept.of("a", lambda: 1) == 1


def test_what_hardly_fits_is_not_begun() -> None:
    hours = MOST_BYTES / 4 / 16_000
    assert Remembered.worth(9 * hours, 16_000) is not None
    assert Remembered.worth(11 * hours, 16_000) is None


def _never() -> Any:
    raise AssertionError("it is kept")


def _gone() -> Any:
    raise OSError("gone")
