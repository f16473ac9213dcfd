"""Labels of a data set -> counts by split; nothing where labels are not what is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voxcli.api import Split
from voxcli.data.table import Table
from voxcli.doctor.checks.thresholds import CLOSED_TEXTS

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


def labels_by_split(context: Context) -> dict[Split, dict[str, int]]:
    """Label -> utterances, of each split that has utterances; empty where transcripts are learned."""
    data = context.data
    if "data" not in context.subject.kinds:
        if context.recipe.task_name != "classification":
            return {}
    elif data.transcripts and not _commands(data.used("train")):
        return {}
    found: dict[Split, dict[str, int]] = {}
    for split in data.filled:
        counts = pc.value_counts(data.used(split).column("label").array.drop_null())
        pairs = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
        found[split] = dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
    return found if any(found.values()) else {}


def _commands(table: Table) -> bool:
    """Whether each utterance has a label, and its text is one of a few."""
    labels, texts = table.column("label").array, table.texts.array
    return labels.null_count == 0 and len(pc.unique(texts)) <= max(2, CLOSED_TEXTS * len(table))


def of_labels(table: Table, labels: list[str]) -> np.ndarray:
    """Which rows have one of some labels, bool (rows,)."""
    found = pc.is_in(table.column("label").array, value_set=pa.array(labels, type=pa.string()))
    return np.asarray(found.to_numpy(), dtype=np.bool_)
