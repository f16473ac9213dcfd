"""What was heard -> clips that were cut at one round duration while their texts stayed whole."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import SPLITS, Split
from voxcli.doctor.audio.listening import Listening, Rows
from voxcli.doctor.checks.thresholds import CUT_FROM, CUT_LOUD, CUT_MOST, CUT_RATE

STEP = 0.5  # s: durations at which people cut
NEAR = 0.01  # s
AROUND = 0.5  # s on both sides, whose clips say how many are to be expected
CROWDED = 5.0  # times as many as expected
HALF = 0.3  # of the pile's duration, from which others are compared: the shortest clips hold more silence than speech


def cut(listening: Listening) -> list[tuple[float, dict[Split, Rows]]]:
    """(duration in s, rows of each split), the longest duration first."""
    tables = listening.tables
    durations = np.concatenate([tables[split].durations.astype(np.float64) for split in SPLITS])
    letters = np.concatenate([_letters(tables[split].texts.array) for split in SPLITS])
    lengths = [len(tables[split]) for split in SPLITS]
    rates = letters / np.maximum(durations, 0.1)
    steps = np.rint(durations / STEP)
    even = (np.abs(durations - steps * STEP) < NEAR) & (steps > 0)
    if not even.any() or even.mean() > CUT_MOST:
        return []
    found = []
    for step in sorted(set(steps[even].tolist()), reverse=True):
        pile = even & (steps == step)
        rest = ~pile & (letters > 0)
        long = rest & (durations > HALF * step * STEP)
        rest = long if long.sum() >= CUT_FROM else rest
        if pile.sum() < CUT_FROM or not rest.any() or not _crowded(durations, pile, step * STEP):
            continue
        usual = float(np.median(rates[rest]))
        if np.median(rates[pile]) < CUT_RATE * usual:
            continue
        loud = np.asarray([_loud(listening, place) for place in _places(np.flatnonzero(pile), lengths)])
        long_text = rates[pile] >= usual
        if (loud[long_text] > 0).sum() >= max(1, 0.5 * (loud[long_text] >= 0).sum()):
            rows = np.flatnonzero(pile)[(loud > 0) | long_text]
            chosen = {split: [row for name, row in _places(rows, lengths) if name == split] for split in SPLITS}
            found.append((step * STEP, {split: np.asarray(some) for split, some in chosen.items() if some}))
    return found


def _letters(texts: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(pc.utf8_length(texts), 0).to_numpy(), np.float64)


def _crowded(durations: NDArray[np.float64], pile: NDArray[np.bool_], at: float) -> bool:
    """Whether far more have the duration than have one near it."""
    near = int(((np.abs(durations - at) < AROUND) & ~pile).sum())
    return bool(pile.sum() > CROWDED * near * NEAR / AROUND)


def _places(rows: Rows, lengths: list[int]) -> list[tuple[Split, int]]:
    """Rows of all splits together -> the split of each, and its row there."""
    ends = np.cumsum(lengths)
    which = np.searchsorted(ends, rows, side="right")
    return [
        (SPLITS[number], int(row - ends[number] + lengths[number])) for row, number in zip(rows, which, strict=True)
    ]


def _loud(listening: Listening, place: tuple[Split, int]) -> int:
    """1 where a clip ends in the middle of sound, 0 where it does not, -1 where it was not heard."""
    clip = listening.by_row.get(place)
    return -1 if clip is None or clip.sound is None else int(clip.sound.end > CUT_LOUD)
