"""`[text]`: each rule, their order, and what is never touched."""

from __future__ import annotations

import unicodedata

import pytest

from voxcli.recipe.schema import TextRules
from voxcli.text.normalize import normalize

HINDI = "नमस्ते दुनिया क्या"
THAI = "สวัสดีน้ำใจ"
MALAYALAM = "അവൻ വീട്ടിൽ വന്നു"


def test_defaults_collapse_white_space_and_keep_everything_else():
    assert normalize("  Hello,\t„World“\u00a0—\n it’s ", TextRules()) == "Hello, „World“ — it’s"


@pytest.mark.parametrize("text", [HINDI, THAI, MALAYALAM, "می‌روم", "ක්‍රියා"])
def test_marks_and_joiners_stay(text):
    rules = TextRules(lowercase=True, remove_punctuation=True)
    assert normalize(text, rules) == unicodedata.normalize("NFC", text)


def test_unicode_forms():
    assert normalize("e\u0301", TextRules()) == "é"
    assert normalize("é", TextRules(unicode_form="NFD")) == "e\u0301"
    assert normalize("ﬁve Ａ", TextRules(unicode_form="NFKC")) == "five A"
    assert normalize("ﬁve", TextRules()) == "ﬁve"


def test_replacements_are_literal_and_in_order():
    rules = TextRules(replace={"&": " and ", "and": "und", ".*": "!"})
    assert normalize("a&b .* c", rules) == "a und b ! c"


def test_replacements_meet_lower_cased_text():
    assert normalize("Щука", TextRules(lowercase=True, replace={"щ": "sch"})) == "schука"


def test_a_replacement_written_in_another_form_still_matches():
    assert normalize("caf\u00e9", TextRules(replace={"e\u0301": "e"})) == "cafe"


def test_replace_is_not_undone_by_a_compatibility_form():
    assert normalize("1 two", TextRules(unicode_form="NFKC", replace={"1": "①"})) == "① two"


def test_remove_is_never_a_range_or_a_pattern():
    assert normalize("a-z [b] m.^c\\d", TextRules(remove="a-c[]^.\\")) == "z b md"


def test_remove_a_composed_letter_leaves_its_base():
    nfd = TextRules(unicode_form="NFD", remove="é")
    assert normalize("élève e", nfd) == unicodedata.normalize("NFD", "lève e")
    assert normalize("élève e", TextRules(remove="e\u0301")) == "lève e"


def test_remove_under_a_compatibility_form():
    rules = TextRules(unicode_form="NFKC", remove="！ﬁ")
    assert normalize("ﬁne！", rules) == "fine"


def test_lowercase_before_remove():
    assert normalize("ABC", TextRules(lowercase=True, remove="b")) == "ac"


def test_punctuation_and_symbols_become_spaces_except_those_kept():
    rules = TextRules(remove_punctuation=True)
    assert normalize("it's well-known: 5€ ’tis «x»।", rules) == "it's well known 5 ’tis x"
    assert normalize("l·l a-b", TextRules(remove_punctuation=True, keep="-")) == "l l a-b"


def test_strip_marks_is_asked_for_and_does_what_it_says():
    assert normalize("crème Ångström", TextRules(strip_marks=True)) == "creme Angstrom"
    assert normalize("हिन्दी", TextRules(strip_marks=True)) != "हिन्दी"


def test_turkish():
    rules = TextRules(language="tr", lowercase=True, remove_punctuation=True)
    assert normalize("İstanbul'da IŞIK!", rules) == "istanbul'da ışık"


def test_invisible_characters_vanish_and_control_characters_are_spaces():
    assert normalize("\ufeffco\u00adop\u200e a\x00b", TextRules()) == "coop a b"


def test_the_result_is_in_the_form_that_was_asked_for():
    assert normalize("ex\u0301", TextRules(remove="x")) == "é"


@pytest.mark.parametrize("text", ["", "   ", "\n\u00ad", "!?"])
def test_nothing_left(text):
    assert normalize(text, TextRules(remove_punctuation=True)) == ""
