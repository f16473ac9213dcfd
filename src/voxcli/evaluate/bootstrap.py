"""Errors and lengths of every utterance -> the interval in which the rate of another such sample would lie.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004: utterances
are drawn with replacement, the rate of a draw is its errors over its words, and the interval is cut from those rates.
Utterances of one speaker resemble each other, so that with few speakers the true uncertainty is larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95


def interval(
    errors: np.ndarray,
    lengths: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """Percentile interval of sum(errors) / sum(lengths).

    Args:
        errors: errors of each utterance, integers of shape (n,)
        lengths: reference words (or characters) of each utterance, integers of shape (n,)

    Returns:
        (low, high), or None with fewer than two utterances or no reference at all.

    Utterances with equal errors and lengths are interchangeable, so draws are made from the distinct pairs with a
    multinomial: the same distribution as drawing utterances, and a million of them cost no more than a few thousand.
    """
    if len(errors) < 2 or not np.any(lengths):
        return None
    drawn_errors, drawn_lengths = _draw(np.stack([errors, lengths], axis=1), resamples, seed)
    return _cut(drawn_errors / drawn_lengths, confidence)


@dataclass(frozen=True)
class Difference:
    """How much lower one rate is than another on the same utterances."""

    value: float
    """after - before: negative is better."""
    interval: tuple[float, float]
    better: float
    """Share of the draws in which the rate after is lower."""


def difference(
    before: np.ndarray,
    after: np.ndarray,
    lengths: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Difference | None:
    """Compare the errors of two models on the same utterances, integers of shape (n,), in the same draws.

    What makes an utterance hard for both cancels out: the interval is narrower than those of the two rates suggest.
    None with fewer than two utterances or no reference at all.
    """
    if len(lengths) < 2 or not np.any(lengths):
        return None
    drawn_before, drawn_after, drawn_lengths = _draw(np.stack([before, after, lengths], axis=1), resamples, seed)
    gain = (drawn_after - drawn_before) / drawn_lengths
    value = (int(after.sum()) - int(before.sum())) / int(lengths.sum())
    return Difference(value, _cut(gain, confidence), float(np.mean(gain < 0)))


def _draw(rows: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Column sums of `rows` (n, k), the last of which is the length, over draws of n rows: (k, draws with a length)."""
    distinct, frequency = np.unique(rows.astype(np.int64), axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(rows), frequency / frequency.sum(), size=resamples)  # (resamples, distinct rows)
    sums = draws @ distinct
    return np.asarray(sums[sums[:, -1] > 0].T)


def _cut(rates: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return float(low), float(high)
