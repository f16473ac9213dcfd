"""Labels against frames: which utterances CTC cannot learn, as they are recorded and at their shortest in training.

An utterance can be learned exactly when frames >= labels + adjacent repeated labels. Labels are counted by the real
tokenizer, but only where a bound that costs nothing a row does not clear the utterance.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxcli.tasks.bounds import most_frames_needed

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Misfits:
    """Rows of the training split whose labels do not fit at their shortest; all arrays of shape (misfits,)."""

    rows: Rows
    needed: NDArray[np.int64]
    """Frames that the label needs."""
    recorded: NDArray[np.int64]
    """Frames of the recording as it is."""
    shortest: NDArray[np.int64]
    """Frames of the recording at its shortest."""


def misfits(context: Context) -> Misfits:
    """Those of a recipe's training split; found once."""
    return context._once("misfits", lambda: _misfits(context))


def shortest(context: Context) -> NDArray[np.float64]:
    """Durations of the training split as short as augmentation can make them, s."""
    durations = context.data.used("train").durations.astype(np.float64)
    for augmentation in context.recipe.augment:
        method = getattr(augmentation, "shortest", None)
        if method is not None and augmentation.p > 0:
            values, places = np.unique(durations, return_inverse=True)
            durations = np.asarray([method(float(value)) for value in values], dtype=np.float64)[places]
    return durations


def frames_of(family: Any, durations: NDArray[np.floating[Any]], rate: int) -> NDArray[np.int64]:
    """Frames for durations in s, from the family's own `frames`, asked once for each length."""
    samples, places = np.unique(np.rint(durations.astype(np.float64) * rate).astype(np.int64), return_inverse=True)
    return np.asarray([family.frames(int(n)) for n in samples], dtype=np.int64)[places]


def _misfits(context: Context) -> Misfits:
    recipe, bundle = context.recipe, context.bundle
    table, rate = context.data.used("train"), context.limits.sampling_rate
    tokenizer = bundle.processor.tokenizer
    least = frames_of(recipe.model, np.maximum(shortest(context), 0.0), rate)
    most = most_frames_needed(table.texts.array, tokenizer, points=context.data.characters("train"))
    candidates = np.flatnonzero(most > least)
    needed = np.asarray([_needed(text or "", tokenizer) for text in table.select(candidates).texts], dtype=np.int64)
    wrong = needed > least[candidates]
    rows = candidates[wrong]
    recorded = frames_of(recipe.model, table.durations[rows], rate)
    return Misfits(rows, needed[wrong], recorded, least[rows])


def _needed(text: str, tokenizer: Any) -> int:
    labels: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return len(labels) + sum(one == other for one, other in itertools.pairwise(labels))
