"""Letters and durations -> the utterances whose recording is of another length than its text lets expect.

The relation is the data set's own: duration = pause + seconds a letter, fitted to the medians of groups of equal text
length, which a few wrong rows do not move. What is left over is compared as a logarithm.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from voxcli.doctor.checks.thresholds import (
    RATE_DEVIATIONS,
    RATE_FROM,
    RATE_LETTERS,
    RATE_RATIO,
    RATE_SECONDS,
    SYLLABLES,
)
from voxcli.text.codepoints import CodePoints
from voxcli.text.scripts import script, scripts_of

Floats = NDArray[np.float64]

_GROUPS = 25  # at most; of five utterances at least, so that one wrong row does not make a median


def letters_of(points: CodePoints) -> Floats:
    """Letters and digits of each text; a syllable of Chinese, Japanese or Korean counts for several. Shape (rows,)."""
    syllabic = scripts_of("zh") | scripts_of("ja") | scripts_of("ko")
    syllables = [one for one in points.counts if script(one) in syllabic]
    letters = points.tally(lambda one: unicodedata.category(one)[0] in "LN")
    return (letters + (SYLLABLES - 1) * points.tally(syllables)).astype(np.float64)


def unexpected(letters: Floats, durations: Floats) -> NDArray[np.int8]:
    """1 where a recording is far longer than its text lets expect, -1 where far shorter, else 0. Shape (rows,)."""
    found = np.zeros(len(letters), dtype=np.int8)
    usable = (letters > 0) & (durations > 0)
    if usable.sum() < RATE_FROM:
        return found
    x, y = letters[usable], durations[usable]
    expected = _line(x, y)(x)
    left = np.log(y / expected)
    spread = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    limit = max(np.log(RATE_RATIO), RATE_DEVIATIONS * spread)
    found[usable] = np.where((left > limit) & (y - expected > RATE_SECONDS), 1, 0)
    found[usable] -= ((left < -limit) & (x >= RATE_LETTERS)).astype(np.int8)
    return found


def lengths_expected(letters: Floats, durations: Floats, *, without: NDArray[np.bool_]) -> Floats | None:
    """How long each text is expected to take, by all rows but some; None where too few are left. Shape (rows,)."""
    usable = (letters > 0) & (durations > 0) & ~without
    if usable.sum() < RATE_FROM:
        return None
    return _line(letters[usable], durations[usable])(letters)


def _line(letters: Floats, durations: Floats) -> Callable[[Floats], Floats]:
    """Letters -> s by the straight line through the medians; never below a tenth of a second."""
    order = np.argsort(letters, kind="stable")
    groups = np.array_split(order, min(_GROUPS, len(order) // 5))
    x = np.asarray([np.median(letters[group]) for group in groups])
    y = np.asarray([np.median(durations[group]) for group in groups])
    sides = np.stack([1.0 / y, x / y], axis=1)  # relative errors: long texts must not decide for short ones
    (pause, rate), *_ = np.linalg.lstsq(sides, np.ones(len(x)), rcond=None)
    if len(np.unique(x)) < 3 or rate <= 0:  # texts of one length, or lengths that say nothing
        pause, rate = np.median(durations), 0.0
    return lambda given: np.maximum(max(float(pause), 0.0) + float(rate) * given, 0.1)
