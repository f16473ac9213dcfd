"""A table with labels and `[holdout]` -> places by which each class gives its share, however small it is.

Within a class utterances stand in the order of a hash of their ids, at equal distances from 0 to 1; a split takes those
below its share, as `voxcli.data.holdout.divide` does. A class of one utterance stays where it is learned.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from voxcli.data.holdout import Hashes
from voxcli.data.strings import hashes
from voxcli.data.table import Table


def label_places(table: Table) -> Hashes:
    """uint64 (rows,): the place of each utterance within its class, 2**64 for 1. New data move some of the others."""
    column = pc.fill_null(table.column("label").array, "").combine_chunks()
    classes = pc.dictionary_encode(column).indices.to_numpy(zero_copy_only=False).astype(np.int64)
    drawn = hashes(table.ids.array)
    order = np.lexsort((np.arange(len(drawn)), drawn, classes))
    sizes = np.bincount(classes, minlength=1)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.empty(len(drawn), dtype=np.float64)
    places[order] = (np.arange(len(drawn)) - starts + 0.5) / np.repeat(sizes, sizes)
    return (places * 2.0**63).astype(np.uint64) * np.uint64(2)
