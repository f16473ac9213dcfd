"""What the texts of an evaluation look like: empty, repeating themselves, without an end, of another length.

An error rate of 1 can mean a model that says nothing and one that never stops; these figures tell them apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from voxcli.doctor.checks.thresholds import NEAR_LIMIT, REPEATING


def summary(
    pairs: Sequence[tuple[str, str]], *, tokens: Sequence[int] | None, limit: int | None, blank: float | None
) -> dict[str, Any]:
    """The `texts` of a log entry, of (reference, hypothesis) pairs.

    `tokens` are the lengths of the hypotheses and `limit` the longest that can be decoded; None where there is none.
    `blank` is the share of frames that say nothing, of CTC.
    """
    count = len(pairs)
    near = None
    if tokens is not None and limit and count:
        near = round(sum(length >= NEAR_LIMIT * limit for length in tokens) / count, 4)
    said = sum(len(hypothesis) for _, hypothesis in pairs)
    meant = sum(len(reference) for reference, _ in pairs)
    return {
        "utterances": count,
        "empty": _share([not hypothesis.strip() for _, hypothesis in pairs]),
        "blank": None if blank is None else round(blank, 4),
        "repeating": _share([repeats(hypothesis) for _, hypothesis in pairs]),
        "at_limit": near,
        "length_ratio": round(said / meant, 4) if meant else None,
    }


def repeats(text: str) -> bool:
    """Whether a text says the same again and again: it compresses better than speech does."""
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded) > REPEATING * len(zlib.compress(encoded))


def _share(found: Sequence[bool]) -> float:
    return round(sum(found) / len(found), 4) if found else 0.0
