"""Sentences -> an interpolated n-gram model with modified Kneser-Ney smoothing (Chen and Goodman 1998, section 4.1.6).

The same estimates as KenLM's lmplz (Heafield et al. 2013; which counts its very last n-gram raw where it computes
discounts): below the highest order an n-gram counts the different words
that stand before it, unless it begins a sentence; three discounts an order; unigrams are interpolated with the uniform
distribution over the vocabulary, <unk> included and <s> not. Everything is kept in memory: for transcripts, not for a
web crawl.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where the counts do not determine them, as lmplz --discount_fallback."""

NGram = tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """An estimated model. Logarithms are of base 10."""

    orders: tuple[dict[NGram, tuple[float, float]], ...]
    """For each order from 1: n-gram -> (log-probability, log of the weight of shorter contexts after it)."""
    fallback: tuple[int, ...]
    """Orders whose discounts are `FALLBACK`: their counts are too few or too even."""

    @property
    def n_words(self) -> int:
        """Words with a probability of their own."""
        return len(self.orders[0]) - 3


def estimate(sentences: Iterable[Sequence[str]], order: int) -> Model:
    """Sentences of words -> the model. Raises `ValueError` without any word, and for an order below 1."""
    if order < 1:
        raise ValueError(f"the order is {order}, expected at least 1")
    counts = _adjusted(sentences, order)
    if not counts[0]:
        raise ValueError("there are no words")
    tables: list[dict[NGram, tuple[float, float]]] = []
    fallback = []
    chances: dict[NGram, float] = {}
    for length, of_order in enumerate(counts, start=1):
        discounts = _discounts(of_order)
        if discounts is None:
            fallback.append(length)
            discounts = FALLBACK
        chances, weights = _interpolated(of_order, discounts, chances)
        if length == 1:
            chances[(BEGIN,)] = 1.0  # never predicted; KenLM and SRILM write log 1
        for context, weight in weights.items():
            if context:
                chance, _ = tables[-1][context]
                tables[-1][context] = (chance, math.log10(weight))
        tables.append({ngram: (math.log10(chance), 0.0) for ngram, chance in chances.items()})
    return Model(tuple(tables), tuple(fallback))


def _adjusted(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[NGram]]:
    """Counts of each order, as smoothing takes them."""
    raw: list[Counter[NGram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        if not sentence:
            continue
        words = (BEGIN, *sentence, END)
        for length in range(1, order + 1):
            raw[length - 1].update(words[at : at + length] for at in range(len(words) - length + 1))
    adjusted = []
    for length in range(1, order):
        before = Counter(ngram[1:] for ngram in raw[length])  # each n-gram once: the different words before it
        begins = {ngram: count for ngram, count in raw[length - 1].items() if ngram[0] == BEGIN}
        adjusted.append(Counter({**before, **begins}))
    adjusted.append(raw[-1])
    adjusted[0].pop((BEGIN,), None)
    return adjusted


def _discounts(counts: Counter[NGram]) -> tuple[float, float, float] | None:
    """D1, D2, D3+; None where they are undefined or below 0."""
    of = Counter(count for count in counts.values() if count <= 4)
    if not all(of[count] for count in (1, 2, 3)):
        return None
    share = of[1] / (of[1] + 2 * of[2])
    found = tuple(count - (count + 1) * share * of[count + 1] / of[count] for count in (1, 2, 3))
    return None if any(not 0 <= one <= count for count, one in enumerate(found, start=1)) else (*found,)  # type: ignore[return-value]


def _interpolated(
    counts: Counter[NGram], discounts: tuple[float, ...], lower: dict[NGram, float]
) -> tuple[dict[NGram, float], dict[NGram, float]]:
    """(probability of each n-gram, weight of the lower order after each context)."""
    totals: Counter[NGram] = Counter()
    taken: dict[NGram, float] = {}
    for ngram, count in counts.items():
        context = ngram[:-1]
        totals[context] += count
        taken[context] = taken.get(context, 0.0) + discounts[min(count, 3) - 1]
    weights = {context: taken[context] / total for context, total in totals.items()}
    if not lower:
        uniform = weights[()] / (len(counts) + 1)  # and <unk>
        chances = {
            ngram: (count - discounts[min(count, 3) - 1]) / totals[()] + uniform for ngram, count in counts.items()
        }
        return {(UNKNOWN,): uniform, **chances}, weights
    return {
        ngram: (count - discounts[min(count, 3) - 1]) / totals[ngram[:-1]] + weights[ngram[:-1]] * lower[ngram[1:]]
        for ngram, count in counts.items()
    }, weights
