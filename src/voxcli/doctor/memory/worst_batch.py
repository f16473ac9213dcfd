"""A phase of a prediction -> the utterances of its batch: the longest clips, with the longest label among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxcli.data.batches import JITTER, lengthened, padding_of
from voxcli.data.table import Table

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.memory.predict import Phase

_NEAR = 1e-3  # s


def members(context: Context, phase: Phase) -> tuple[str, ...]:
    """Ids of the utterances that can meet in the phase's batch, the longest first; as many as it has clips.

    The sampler draws batches anew each epoch: these are the ones of the worst draw, not those of a certain step.
    """
    recipe, limits = context.recipe, context.limits
    if phase.name == "evaluation":
        table: Table = context.data.splits.validation
        stretched = np.asarray(table.durations, dtype=np.float64)
    else:
        table = context.data.splits.train
        stretched = np.asarray(lengthened(table.durations, recipe.augment), dtype=np.float64)
    if not len(table):
        return ()
    rows = np.flatnonzero(np.minimum(stretched, limits.max_duration) <= phase.shape.duration + _NEAR)
    rows = rows[np.argsort(-stretched[rows], kind="stable")]
    chosen = rows[: phase.shape.n_utterances]
    if phase.shape.n_labels and len(rows) > len(chosen) > 1:
        longest = _longest_text(table, rows, _neighbours(context, stretched[rows]))
        if longest not in chosen:
            chosen = np.append(chosen[:-1], longest)
    return tuple(table.utterance(int(row)).id for row in chosen)


def _neighbours(context: Context, durations: np.ndarray) -> int:
    """How many of the clips, the longest first, may stand in one batch with the first."""
    padded = padding_of(context.recipe.model, context.limits)
    if padded is not None and padded(float(durations[0])) == padded(float(durations[-1])):
        return len(durations)
    return int((durations >= durations[0] / np.exp(2 * JITTER)).sum())


def _longest_text(table: Table, rows: np.ndarray, near: int) -> int:
    """The row with the longest text among the first `near` rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = table.texts.array.take(pa.array(rows[:near]))
    lengths = np.asarray(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False))
    return int(rows[int(np.argmax(lengths))])
