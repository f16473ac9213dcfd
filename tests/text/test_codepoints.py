"""Characters of a column of texts, row by row."""

from __future__ import annotations

import itertools
import unicodedata

import pyarrow as pa
import pytest

from voxcli.text.codepoints import CodePoints

TEXTS = [None, "", "aab", "ééx😀😀", "hello", "x", "", "ll", "l", "\u0928\u093e", None]


@pytest.fixture(params=["whole", "sliced"])
def texts(request):
    """(texts, column): in several chunks, and as a part of a longer column."""
    many = TEXTS * 7_000  # more than one block
    chunks = pa.chunked_array([pa.array(many[:100]), pa.array(many[100:], pa.string())])
    return (many, chunks) if request.param == "whole" else (many[3:], chunks.slice(3))


def test_every_row_has_its_own_characters(texts):
    said, column = texts
    points = CodePoints(column)
    assert points.lengths.tolist() == [len(text or "") for text in said]
    assert points.bytes.tolist() == [len((text or "").encode()) for text in said]
    assert points.tally("é😀").tolist() == [sum(one in "é😀" for one in text or "") for text in said]
    assert points.holding(lambda one: unicodedata.category(one)[0] == "M").tolist() == [
        "\u093e" in (text or "") for text in said
    ]
    assert points.repeats().tolist() == [sum(a == b for a, b in itertools.pairwise(text or "")) for text in said]


def test_counts(texts):
    said, column = texts
    counts = CodePoints(column).counts
    whole = "".join(text or "" for text in said)
    assert counts == {one: whole.count(one) for one in sorted(set(whole))}


def test_repeats_by_another_number():
    points = CodePoints(pa.chunked_array([["abc", "aac"]]))
    assert points.repeats(lambda one: 0 if one in "ab" else 1).tolist() == [1, 1]


def test_nothing():
    points = CodePoints(pa.chunked_array([], pa.string()))
    assert points.counts == {}
    assert points.tally("a").tolist() == []
    assert CodePoints(pa.chunked_array([pa.array([None], pa.string())])).repeats().tolist() == [0]
