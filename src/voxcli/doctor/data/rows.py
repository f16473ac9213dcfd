"""Rows of a table -> what a finding says of them: ids, a count in words, an example."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from voxcli.data.table import Table

_SHOWN = 60  # characters of a text in a message


def named(table: Table, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> tuple[str, ...]:
    """The ids of some rows, by a mask or by their numbers."""
    ids: list[str] = table.select(chosen).ids.array.to_pylist()
    return tuple(ids)


def counted(number: int, noun: str = "utterance") -> str:
    """ "1 utterance", "12,000 utterances"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def of(number: int, whole: int, noun: str = "utterance") -> str:
    """ "3 of 24 utterances"."""
    return f"{number:,} of {counted(whole, noun)}"


def quoted(text: str | None) -> str:
    """A text as an example, shortened."""
    said = text or ""
    return f"'{said}'" if len(said) <= _SHOWN else f"'{said[: _SHOWN - 1]}…'"


def characters(found: Iterable[str], most: int = 12) -> str:
    """Characters in a message; what cannot be seen by its code point: "é ñ U+0307"."""
    every = list(found)
    shown = [one if one.isprintable() and not _is_mark(one) else f"U+{ord(one):04X}" for one in every[:most]]
    return " ".join(shown) + (" …" if len(every) > most else "")


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def leave(table: Table, chosen: NDArray[np.bool_] | NDArray[np.int64], split: str) -> tuple[str, ...]:
    """Lines for `[filter] exclude` that take some rows out of one split only."""
    return tuple(f"{name}\t{split}" for name in named(table, chosen))
