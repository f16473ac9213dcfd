"""The classes of a classifier: names in the model's order, and what a label in the data says in them.

A label is a class's name, or its number where the names are known and no class is called so. Where several classes may
hold (multi-label), names stand in one string with a separator between them, and an empty string is none of them.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from voxcli.models.checkpoint import read_json

FILE = "labels.json"
SHOWN = 12  # names that a message lists


@dataclass(frozen=True)
class Labels:
    """The classes of one model."""

    names: tuple[str, ...]
    multi_label: bool = False
    separator: str = ","

    @cached_property
    def ids(self) -> dict[str, int]:
        """Name, or number as text, -> class."""
        numbers = {str(number): number for number in range(len(self.names))}
        return numbers | {name: number for number, name in enumerate(self.names)}

    def said(self, label: str | None) -> tuple[str, ...]:
        """What a label names, as it is written."""
        return parts(label, multi_label=self.multi_label, separator=self.separator)

    def of(self, label: str | None) -> tuple[str, ...]:
        """The classes that a label names; what the model does not know stays as it is written."""
        return tuple(self.names[self.ids[name]] if name in self.ids else name for name in self.said(label))

    def unknown(self, label: str | None) -> tuple[str, ...]:
        """What a label names that is no class of the model."""
        return tuple(name for name in self.said(label) if name not in self.ids)

    def write(self, folder: Path) -> None:
        """Write the names beside a checkpoint."""
        content = json.dumps(
            {"labels": list(self.names), "multi_label": self.multi_label}, ensure_ascii=False, indent=2
        )
        (folder / FILE).write_text(content + "\n", encoding="utf-8")

    def problem(self, label: str | None) -> str | None:
        """Why a recording with this label cannot be learned, or None."""
        if label is None:
            return "it has no label"
        if unknown := self.unknown(label):
            close = difflib.get_close_matches(unknown[0], self.names, n=1)
            meant = f"did you mean '{close[0]}'? " if close else ""
            return f"its label '{unknown[0]}' is none of the model's classes; {meant}they are {listed(self.names)}"
        return None


def read_names(checkpoint: str) -> tuple[str, ...]:
    """The classes that were written with a checkpoint, in its order; () where none were. Raises `ModelError`."""
    stored = read_json(checkpoint, FILE) or {}
    return tuple(str(name) for name in stored.get("labels") or ())


def parts(label: str | None, *, multi_label: bool, separator: str) -> tuple[str, ...]:
    """The names in a label, each once and without the white space around them."""
    if label is None:
        return ()
    if not multi_label:
        return (label.strip(),)
    return tuple(dict.fromkeys(name for one in label.split(separator) if (name := one.strip())))


def names_in(labels: Iterable[str], *, multi_label: bool, separator: str) -> tuple[str, ...]:
    """The classes that the labels of a data set name: sorted, numbers by their value."""
    found = {name for label in labels for name in parts(label, multi_label=multi_label, separator=separator)}
    return tuple(sorted(found, key=lambda name: (0, int(name), "") if name.isdecimal() else (1, 0, name)))


def counted(counts: Mapping[str, int], labels: Labels) -> list[int]:
    """Utterances of each class, from those of each label; shape (classes,)."""
    found = [0] * len(labels.names)
    for label, count in counts.items():
        for name in labels.said(label):
            if name in labels.ids:
                found[labels.ids[name]] += count
    return found


def listed(names: Sequence[str]) -> str:
    """Names as a message lists them."""
    more = f" … ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
