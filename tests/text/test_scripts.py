"""Scripts of letters and languages, and words of two scripts."""

from __future__ import annotations

import pytest

from voxcli.text.scripts import language_name, script, scripts_of, untwinned


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("a", "LATIN"), ("ñ", "LATIN"), ("ａ", "LATIN"), ("ж", "CYRILLIC"), ("日", "CJK"), ("ｱ", "KATAKANA"),
        ("अ", "DEVANAGARI"), ("ÿ", "LATIN"), ("7", None), ("µ", None), ("ª", None), (" ", None), ("\u093e", None),
    ],
)  # fmt: skip
def test_script(character, name):
    assert script(character) == name


def test_scripts_of_a_language():
    assert scripts_of("ru") == {"CYRILLIC"}
    assert scripts_of("Turkish") == scripts_of("tr-TR") == scripts_of("tur") == {"LATIN"}
    assert scripts_of("sr") == {"CYRILLIC", "LATIN"}
    assert {"CJK", "HIRAGANA", "KATAKANA"} <= scripts_of("ja")
    assert scripts_of(None) == scripts_of("tlh") == frozenset()
    assert language_name("pt_BR") == language_name("Portuguese") == "pt"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("p\u0430roli", "paroli"),
        ("\u043f\u0435\u0440\u0432\u043e" + "e", "\u043f\u0435\u0440\u0432\u043e\u0435"),
        ("SMS\u043a\u0430", None),  # a Russian ending at an abbreviation
        ("paroli", None),
        ("\u03b1bc", None),
    ],
)
def test_words_of_two_scripts(word, meant):
    assert untwinned(word) == meant
