"""Counts and alignments of single utterances."""

from __future__ import annotations

import jiwer
import pytest

from voxcli.evaluate.align import Counts, align

PAIRS = [
    ("the quick brown fox", "the quick brown fox"),
    ("the quick brown fox", "a quick brown brown dog"),
    ("merhaba dünya", "merhaba"),
    ("one two", ""),
    ("", "thank you"),
    ("", ""),
    ("  two   spaces ", "two spaces"),
]


def test_counts_of_words_and_characters() -> None:
    got = align("the cat sat", "the cap sat down")
    assert got.words == Counts(hits=2, substitutions=1, deletions=0, insertions=1)
    assert got.words.rate == pytest.approx(2 / 3)
    assert got.characters == Counts(hits=10, substitutions=1, deletions=0, insertions=5)
    assert list(got.substitutions()) == [("cat", "cap")]


def test_sums_over_utterances_are_the_rate_of_the_corpus() -> None:
    total = sum((align(*pair).words for pair in PAIRS), Counts())
    assert total.rate == pytest.approx(jiwer.wer([a for a, _ in PAIRS], [b for _, b in PAIRS]))
    characters = sum((align(*pair).characters for pair in PAIRS), Counts())
    collapsed = [[" ".join(text.split()) for text in side] for side in zip(*PAIRS, strict=True)]
    assert characters.rate == pytest.approx(jiwer.cer(*collapsed))


def test_insertions_on_an_empty_reference_are_counted() -> None:
    got = align("", "thank you")
    assert got.words == Counts(insertions=2)
    assert got.words.rate is None
    assert (got.words + Counts(hits=4)).rate == 0.5


@pytest.mark.parametrize(("reference", "hypothesis"), PAIRS)
def test_an_alignment_spells_both_texts(reference: str, hypothesis: str) -> None:
    chunks = align(reference, hypothesis).chunks
    assert [word for chunk in chunks for word in chunk.reference] == reference.split()
    assert [word for chunk in chunks for word in chunk.hypothesis] == hypothesis.split()


def test_white_space_is_no_error() -> None:
    assert align("a  b\tc", " a b c ").characters.errors == 0
