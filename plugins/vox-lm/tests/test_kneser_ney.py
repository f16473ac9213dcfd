"""Estimates against those of KenLM 0.3.0, `lmplz -o N --discount_fallback`, on the text of lm_texts; and the axioms."""

from __future__ import annotations

from pathlib import Path

import kenlm
import pytest
from lm_texts import SENTENCES

from vox_lm.arpa import write
from vox_lm.kneser_ney import BEGIN, UNKNOWN, Model, estimate

LMPLZ = {
    1: {"<unk>": (-1.708858, 0.0), "</s>": (-0.828926, 0.0), "the": (-0.71279955, 0.0), "cat": (-1.1774471, 0.0)},
    2: {
        "<unk>": (-1.5174259, 0.0),
        "</s>": (-0.81212735, 0.0),
        "the": (-1.1123726, -0.5535579),
        "cat": (-1.4793055, -0.1820246),
        "the cat": (-0.59866625, 0.0),
        "<s> the": (-0.20610403, 0.0),
        "sat on": (-0.30932376, 0.0),
        "ate </s>": (-0.61671156, 0.0),
    },
    3: {  # the discounts of order 2 are undefined here: both take 0.5, 1, 1.5
        "<unk>": (-1.5174259, 0.0),
        "the": (-1.1123726, -0.30103),
        "the cat": (-1.0003632, -0.12427821),
        "<s> the": (-0.23883276, -0.32837415),
        "sat on the": (-0.20826706, 0.0),
        "<s> the cat": (-0.4194649, 0.0),
        "a cat and": (-0.8076117, 0.0),
    },
}


@pytest.mark.parametrize("order", LMPLZ)
def test_the_same_as_lmplz(order: int) -> None:
    model = estimate(SENTENCES, order)
    for text, expected in LMPLZ[order].items():
        ngram = tuple(text.split())
        assert model.orders[len(ngram) - 1][ngram] == pytest.approx(expected, abs=1e-6), text
    assert model.fallback == ((2,) if order == 3 else ())


def chance(model: Model, word: str, context: tuple[str, ...]) -> float:
    """log10 P(word | context), by backing off."""
    for length in range(len(context), -1, -1):
        ngram = (*context[len(context) - length :], word)
        weight = sum(
            model.orders[shorter - 1].get(context[len(context) - shorter :], (0.0, 0.0))[1]
            for shorter in range(length + 1, len(context) + 1)
        )
        if ngram in model.orders[length]:
            return model.orders[length][ngram][0] + weight
    raise AssertionError(word)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_words_after_any_context_share_one(order: int) -> None:
    model = estimate(SENTENCES, order)
    words = [ngram[0] for ngram in model.orders[0] if ngram[0] != BEGIN]
    assert UNKNOWN in words
    contexts = [(), ("the",), ("sat",), (BEGIN,), ("the", "cat"), ("sat", "on", "the"), ("who", "who", "who")]
    for context in contexts:
        kept = context[len(context) - min(len(context), order - 1) :]
        assert sum(10 ** chance(model, word, kept) for word in words) == pytest.approx(1.0, abs=1e-9)


def test_kenlm_reads_the_file(tmp_path: Path) -> None:
    model = estimate(SENTENCES, 3)
    write(model, tmp_path / "lm.arpa")
    read = kenlm.Model(str(tmp_path / "lm.arpa"))
    assert read.order == 3
    words = ["the", "cat", "sat", "by", "the", "zebra"]
    expected, context = 0.0, (BEGIN,)
    for word in [*words, "</s>"]:
        known = word if (word,) in model.orders[0] else UNKNOWN
        expected += chance(model, known, context[-2:])
        context = (*context, known)
    assert read.score(" ".join(words)) == pytest.approx(expected, abs=1e-4)


def test_no_words_and_no_order() -> None:
    with pytest.raises(ValueError, match="no words"):
        estimate([[], []], 2)
    with pytest.raises(ValueError, match="at least 1"):
        estimate(SENTENCES, 0)
