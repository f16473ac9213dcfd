"""A table and `[holdout]` -> which rows leave the training split, decided by what is said in them.

The key of a text is its form for scoring (letters, marks and digits in lower case), so that "Hello." and "hello" are
one text. A 64-bit hash of the key, read as a number from 0 to 1, decides: below `test` it is test, below
`test + validation` it is validation. More data later moves no utterance from one side to the other. Utterances without
text go by their id.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxcli.data.table import Table
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import Holdout
from voxcli.text.scoring import scoring_normalizer

Hashes = NDArray[np.uint64]


Mask = NDArray[np.bool_]


class Division(NamedTuple):
    """Which rows go where, each of shape (rows,)."""

    train: Mask
    validation: Mask
    test: Mask


def text_hashes(table: Table, *, progress: Progress = NULL) -> Hashes:
    """A hash of what each utterance says, shape (rows,): blind to case and punctuation."""
    key = scoring_normalizer(None)
    hashes = np.empty(len(table), dtype=np.uint64)
    with progress.task("comparing transcripts", total=len(table), unit="utterances") as bar:
        for row, text in enumerate(table.texts):
            said = (key(text) or text) if text else f"\0{table.ids[row]}"
            digest = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            hashes[row] = int.from_bytes(digest, "little")
            bar.advance(1)
    return hashes


def divide(hashes: Hashes, shares: Holdout) -> Division:
    """Divide by `text_hashes`. A share above 0 gets one text at least, where there are texts enough."""
    places = hashes.astype(np.float64) / 2.0**64
    test = places < shares.test
    validation = (places < shares.test + shares.validation) & ~test
    if shares.test > 0 and not test.any():
        test = _lowest(hashes, ~validation)
    if shares.validation > 0 and not validation.any():
        validation = _lowest(hashes, ~test)
    return Division(~(test | validation), validation, test)


def shared(hashes: Hashes, with_hashes: Hashes) -> Mask:
    """Which rows say what also stands in the other table, shape (rows,)."""
    return np.isin(hashes, with_hashes)


def _lowest(hashes: Hashes, free: Mask) -> Mask:
    """The utterances of the free text with the lowest hash; none where it is the only text."""
    texts = np.unique(hashes[free])
    if len(texts) < 2:
        return np.zeros(len(hashes), dtype=np.bool_)
    return free & (hashes == texts[0])
