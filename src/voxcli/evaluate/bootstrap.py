"""Errors and lengths of every utterance -> the interval in which the rate of another such sample would lie.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004: utterances
are drawn with replacement, the rate of a draw is its errors over its words, and the interval is cut from those rates.
Utterances of one speaker resemble each other, so that with few speakers the true uncertainty is larger.
"""

from __future__ import annotations

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
    pairs, frequency = np.unique(np.stack([errors, lengths], axis=1).astype(np.int64), axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(errors), frequency / frequency.sum(), size=resamples)  # (resamples, pairs)
    drawn_errors, drawn_lengths = (draws @ pairs).T
    rates = drawn_errors[drawn_lengths > 0] / drawn_lengths[drawn_lengths > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return float(low), float(high)
