"""Splits and hashes of what their utterances say -> what stands on both sides of a split, and whether that is chance.

Short phrases come back in every sample of one source: "yes", "thank you". How often, the training split itself shows:
the share of its utterances whose text it has more than once is the share that another sample would find in it (Good,
Biometrika 40, 1953). More than that is no chance. Whole sentences are also counted by themselves: few of them come back
where many short phrases do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import SPLITS, Finding, Fix, Split
from voxcli.data.holdout import Hashes, shared
from voxcli.data.strings import different
from voxcli.data.table import Table

CODE = "D030"
CHANCE = 0.01
"""Probability below which so many known texts are no chance."""
SENTENCE = 20
"""Characters from which a text is counted among the sentences too: four or five words."""
CLOSED = 0.1
"""Different texts for each utterance, below which a data set is a list of words, said again and again."""


def overlaps(tables: Mapping[Split, Table], hashes: Mapping[Split, Hashes]) -> list[Finding]:
    """A finding for each pair of splits with texts in common: scores on such texts measure memory."""
    findings = []
    for name in ("validation", "test"):
        for other in SPLITS[: SPLITS.index(name)]:
            if name not in hashes or other not in hashes:
                continue
            both = shared(hashes[name], hashes[other])
            if both.any():
                findings.append(_finding(tables, hashes, name, other, both))
    return findings


def by_chance(known: int, whole: int, share: float) -> bool:
    """Whether `known` of `whole` utterances or more have a known text where each has with probability `share`."""
    if share >= 1:
        return True
    if share <= 0:
        return known == 0
    steps = np.arange(known, whole + 1, dtype=np.float64)
    ways = math.lgamma(whole + 1) - _lgamma(steps + 1) - _lgamma(whole - steps + 1)
    logs = ways + steps * math.log(share) + (whole - steps) * math.log1p(-share)
    return float(np.exp(logs).sum()) >= CHANCE


def repetition(hashes: Hashes) -> float:
    """Share of the utterances whose text another one has."""
    ordered = np.sort(hashes)
    again = np.zeros(len(hashes) + 1, np.bool_)  # whether it equals the one before
    again[1:-1] = ordered[1:] == ordered[:-1]
    return float((again[1:] | again[:-1]).mean()) if len(hashes) else 0.0


def _finding(
    tables: Mapping[Split, Table], hashes: Mapping[Split, Hashes], name: Split, other: Split, both: NDArray[np.bool_]
) -> Finding:
    table, source = tables[name], tables[other]
    closed = different(hashes[other]) <= CLOSED * len(hashes[other])
    chance = closed or (
        by_chance(int(both.sum()), len(both), repetition(hashes[other]))
        and _chance_of_sentences(table, source, both, hashes[other])
    )
    there = shared(hashes[other], hashes[name])
    fix = None
    if not chance and not there.all():
        fix = Fix(leave_out=tuple(f"{one}\t{other}" for one in source.select(there).ids))
    message = f"{int(both.sum())} of {len(both)} {name} utterances say what also stands in {other}"
    if closed:
        message += f", as is usual where there are {different(hashes[other])} different texts"
    elif chance:
        message += ", no more than phrases that come back within it"
    return Finding(
        "note" if chance else "warning",
        message,
        "scores on known texts are too good; take another split, or leave them out with [filter] exclude",
        code=CODE,
        utterances=tuple(str(one) for one in table.select(both).ids),
        fix=fix,
    )


def _chance_of_sentences(table: Table, source: Table, both: NDArray[np.bool_], known: Hashes) -> bool:
    """The same for the longer texts alone."""
    long, long_there = _sentences(table), _sentences(source)
    return by_chance(int((both & long).sum()), int(long.sum()), repetition(known[long_there]))


def _sentences(table: Table) -> NDArray[np.bool_]:
    lengths = pc.utf8_length(pc.fill_null(table.texts.array, ""))
    return np.asarray(lengths.to_numpy() >= SENTENCE, dtype=np.bool_)


def _lgamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray([math.lgamma(value) for value in values], dtype=np.float64)
