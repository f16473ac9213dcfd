"""Stretches of audio that stand in a data set more than once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from voxcli.api import Split, Utterance
from voxcli.data.corpus import list_split
from voxcli.data.table import Table
from voxcli.doctor.data.stretches import common, repeated


class Listed:
    """A data set of (file, offset, duration, text)."""

    def __init__(self, *rows: tuple[str, float, float, str]) -> None:
        self.rows = rows

    def utterances(self, split: Split) -> Iterator[Utterance]:
        for number, (file, offset, duration, text) in enumerate(self.rows):
            yield Utterance(id=f"u{number}", audio=Path(file), offset=offset, duration=duration, text=text)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))


def table(*rows: tuple[str, float, float, str]) -> Table:
    return list_split([Listed(*rows)], "train")


def test_the_same_stretch_is_told_from_another_of_the_same_file():
    found = repeated(
        table(
            ("a.wav", 0.0, 1.0, "one"),
            ("a.wav", 1.0, 1.0, "two"),
            ("a.wav", 0.0, 1.0, "one"),
            ("b.wav", 0.0, 1.0, "one"),
            ("c.wav", 2.0, 1.0, "one"),
            ("c.wav", 2.0, 1.0, "three"),
            ("a.wav", 0.0, 2.0, "one two"),
        )
    )
    assert found.again.tolist() == [False, False, True, False, False, False, False]
    assert found.differ.tolist() == [False, False, False, False, True, True, False]


def test_nothing_is_repeated():
    found = repeated(table(("a.wav", 0.0, 1.0, "one"), ("b.wav", 0.0, 1.0, "one")))
    assert not found.again.any()
    assert not found.differ.any()


def test_overlaps_as_one_looks_for_them_pair_by_pair():
    rng = np.random.default_rng(0)

    def some(number: int) -> list[tuple[str, float, float, str]]:
        return [
            (f"{int(rng.integers(6))}.wav", float(rng.integers(40)) / 2, float(rng.integers(1, 6)) / 2, "x")
            for _ in range(number)
        ]

    for _ in range(20):
        mine, others = some(12), some(9)
        here, there = common(table(*mine), table(*others))
        pairs = [
            (i, j)
            for (i, a), (j, b) in itertools.product(enumerate(mine), enumerate(others))
            if a[0] == b[0] and min(a[1] + a[2], b[1] + b[2]) - max(a[1], b[1]) > 0.01
        ]
        assert set(np.flatnonzero(here).tolist()) == {i for i, _ in pairs}
        assert set(np.flatnonzero(there).tolist()) == {j for _, j in pairs}
