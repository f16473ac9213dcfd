"""Recordings with the same samples under several names, and texts that stand in a data set very often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from voxcli.api import SPLITS, Split
from voxcli.data.holdout import Hashes, quick_hashes
from voxcli.data.table import Table
from voxcli.survey.recordings import Recording

Place = tuple[Split, int]
_KEPT_FIRST: dict[Split, int] = {"test": 0, "validation": 1, "train": 2}


class Again(NamedTuple):
    """An utterance that stands for what another one stands for."""

    place: Place
    first: Place
    """The one that is kept."""
    differ: bool
    """Whether they say different things."""


def same_recordings(
    tables: Mapping[Split, Table], recordings: Mapping[Split, Sequence[Recording]], silent: Mapping[Split, set[int]]
) -> Iterator[Again]:
    """All but one of each group of equal recordings; that of the test split is kept, else of validation, else the
    first. Silent ones are all alike and left to another reason.
    """
    said = {split: _said(table) for split, table in tables.items()}
    groups: dict[tuple[bytes, int], list[Place]] = {}
    for split in SPLITS:
        for row, recording in enumerate(recordings.get(split, ())):
            sound = recording.sound
            if sound is not None and sound.not_finite is None and row not in silent.get(split, ()):
                key = (sound.digest, round(sound.duration * sound.sampling_rate))
                groups.setdefault(key, []).append((split, row))
    for group in groups.values():
        first, *others = sorted(group, key=lambda place: (_KEPT_FIRST[place[0]], place[1]))
        for split, row in others:
            yield Again((split, row), first, bool(said[split][row] != said[first[0]][first[1]]))


def too_often(tables: Mapping[Split, Table], most: int) -> Iterator[Place]:
    """Utterances beyond the first `most` of a split that say the same, blind to case and punctuation."""
    for split, table in tables.items():
        hashes = quick_hashes(table)
        order = np.argsort(hashes, kind="stable")
        begins = np.flatnonzero(np.diff(hashes[order], prepend=~hashes[order][:1]))
        place = np.arange(len(order)) - np.repeat(begins, np.diff([*begins, len(order)]))
        for row in np.sort(order[place >= most]).tolist():
            if table.texts[row]:
                yield split, row


def _said(table: Table) -> Hashes:
    """What each utterance says; its label where nothing has a text."""
    if table.texts.array.null_count < len(table):
        texts = quick_hashes(table)
        missing = np.asarray([text is None or not text.strip() for text in table.texts], np.bool_)
        return np.where(missing, np.uint64(0), texts)
    labels = table.column("label")
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.asarray([numbers[label] for label in labels], np.uint64)
