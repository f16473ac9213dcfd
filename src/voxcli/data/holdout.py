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
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.data import kept
from voxcli.data.strings import among, blocks, by_lines, hashes
from voxcli.data.table import Table
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import Holdout
from voxcli.text.scoring import scored_lines, scoring_normalizer

Hashes = NDArray[np.uint64]

SPECIAL = r"[<\[(]"  # brackets may hold words that nobody said: such texts are looked at one by one

Mask = NDArray[np.bool_]


class Division(NamedTuple):
    """Which rows go where, each of shape (rows,)."""

    train: Mask
    validation: Mask
    test: Mask


def keys(table: Table, *, progress: Progress = NULL) -> pa.ChunkedArray:
    """What each utterance says, blind to case and punctuation; where it has no text, a null character and its id."""
    key = scoring_normalizer(None)
    pieces, ids, start = [], table.ids.array, 0
    with progress.task("comparing transcripts", total=len(table), unit="utterances") as bar:
        for texts in blocks(table.texts.array):
            said = by_lines(texts, scored_lines, key, alone=SPECIAL)
            for fallback in (texts, None):
                silent = pc.equal(pc.fill_null(said, ""), "")
                if not pc.any(silent).as_py():
                    break
                if fallback is None:
                    names = ids.slice(start, len(texts)).combine_chunks()
                    fallback = pc.binary_join_element_wise("", names, "\0")
                said = pc.if_else(silent, fallback, said)
            pieces.append(said)
            start += len(texts)
            bar.advance(len(texts))
    return pa.chunked_array(pieces, pa.string())


def text_hashes(table: Table, *, progress: Progress = NULL) -> Hashes:
    """A hash of what each utterance says, shape (rows,): blind to case and punctuation, the same on every machine."""
    digest, found = hashlib.blake2b, bytearray()
    for block in blocks(keys(table, progress=progress)):
        found += b"".join([digest(key, digest_size=8).digest() for key in block.cast(pa.binary()).to_pylist()])
    return np.frombuffer(bytes(found), "<u8").astype(np.uint64)


def quick_hashes(table: Table, *, progress: Progress = NULL) -> Hashes:
    """The same to tell equal texts from others, ten times as fast; not what `divide` decides by.

    Those of large tables are kept in the cache.
    """
    if len(table) < kept.LARGE:
        return hashes(keys(table, progress=progress))
    name = f"texts/{table.fingerprint}-{kept.code('data', 'text')[:16]}.npz"
    found = kept.read(name)
    if found is None:
        found = {"hashes": hashes(keys(table, progress=progress))}
        kept.write(name, found)
    return found["hashes"]


def speaker_hashes(table: Table, otherwise: Hashes) -> Hashes:
    """A hash of who speaks, shape (rows,), the same on every machine; `otherwise` where nobody is named."""
    speakers = pc.dictionary_encode(table.column("speaker").array).combine_chunks()
    digests = [
        hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest() for name in speakers.dictionary.to_pylist()
    ]
    of_speaker = np.frombuffer(b"".join(digests) + bytes(8), "<u8").astype(np.uint64)  # the last is of no speaker
    numbers = pc.fill_null(speakers.indices, len(digests)).to_numpy(zero_copy_only=False)
    return np.where(numbers < len(digests), of_speaker[numbers], otherwise)


def divide(hashes: Hashes, shares: Holdout) -> Division:
    """Divide by `text_hashes` or `speaker_hashes`. A share above 0 gets one text, if there are enough."""
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
    return among(hashes, with_hashes)


def _lowest(hashes: Hashes, free: Mask) -> Mask:
    """The utterances of the free text with the lowest hash; none where it is the only text."""
    texts = np.unique(hashes[free])
    if len(texts) < 2:
        return np.zeros(len(hashes), dtype=np.bool_)
    return free & (hashes == texts[0])
