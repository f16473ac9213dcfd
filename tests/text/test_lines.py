"""Thousands of lines at once come out as one text after the other."""

from __future__ import annotations

import random
import unicodedata

import pyarrow as pa
import pytest

from voxcli.data.holdout import SPECIAL
from voxcli.data.strings import by_lines
from voxcli.recipe.schema import TextRules
from voxcli.text.normalize import normalizer
from voxcli.text.scoring import scored_lines, scoring_normalizer

RULES = [
    TextRules(),
    TextRules(lowercase=True, language="tr"),
    TextRules(lowercase=True, language="lt"),
    TextRules(lowercase=True, remove_punctuation=True),
    TextRules(unicode_form="NFKC", remove="!é\u0301"),
    TextRules(unicode_form="NFD", strip_marks=True, remove="é"),
    TextRules(unicode_form="NFKD", replace={"a": "b ", " b": "-", "&": " and "}),
    TextRules(strip_marks=True, lowercase=True, remove_punctuation=True, keep=""),
    TextRules(replace={"a": "x\ny"}),
]
PIECES = [
    *"aAbß İIıÌJσΣςéEfﬁ！Ω①\u0301\u0307\u0300\u05b0\u0901\u093f\u0915\u0e4d\u0e32\u0ecd\u0eb2",
    *"  \t\n\u00a0\u2003\u3000\u2028\x1c\x85\x00\u200d\u200c\u00ad\u200e\ufeff",
    *"<>[]()\"'’.,;-%$&1234½💡❤\ufe0f한\u1112\u1161\u11ab\u0d4d\u0d28\u02bc",
    "word ", "Straße ", "по-русски ",
]  # fmt: skip
EVERY = [chr(code) for code in range(0x20, 0x3000) if unicodedata.category(chr(code)) != "Cn"]


def texts(seed: int, many: int = 400) -> list[str | None]:
    rng = random.Random(seed)
    made: list[str | None] = [None, "", " ", "\u0301", "ok"]
    for number in range(many):
        pool = PIECES if number % 2 else EVERY
        made.append("".join(rng.choices(pool, k=rng.randrange(12))))
    rng.shuffle(made)
    return made


@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
def test_rules(rules: TextRules) -> None:
    normalize = normalizer(rules)
    for seed in range(3):
        given = texts(seed)
        found = by_lines(pa.array(given, pa.string()), normalize.lines, normalize).to_pylist()
        assert found == [None if text is None else normalize(text) for text in given]


def test_scoring() -> None:
    score = scoring_normalizer(None)
    for seed in range(6):
        given = texts(seed)
        found = by_lines(pa.array(given, pa.string()), scored_lines, score, alone=SPECIAL).to_pylist()
        assert found == [None if text is None else score(text) for text in given]


def test_nothing_to_change_is_not_copied() -> None:
    block = pa.array(["one two", None, "three"])
    assert by_lines(block, normalizer(TextRules()).lines, str) is block
    assert by_lines(pa.array([None, None], pa.string()), str.lower, str).to_pylist() == [None, None]
