"""Casing of the languages that `str.lower` gets wrong."""

from __future__ import annotations

import unicodedata

import pytest

from voxcli.text.casing import lower, primary_language


@pytest.mark.parametrize("language", ["tr", "tr-TR", "tur", "TURKISH", "az", "az_Latn"])
def test_turkish_i(language):
    assert lower("IŞIK İZMİR DİYARBAKIR", language) == "ışık izmir diyarbakır"


def test_turkish_i_with_a_separate_dot():
    assert lower(unicodedata.normalize("NFD", "İIĞ"), "tr") == "iı" + unicodedata.normalize("NFD", "ğ")
    assert lower("I\u0323\u0307", "tr") == "i\u0323"  # a mark below does not part the dot from its letter
    assert lower("I\u0301\u0307", "tr") == "ı\u0301\u0307"  # another mark above does


def test_other_languages_keep_the_general_rules():
    assert lower("IZMIR", "en") == lower("IZMIR") == "izmir"
    assert lower("ΣΑΣ", "el") == "σας"
    assert lower("ЪГЪЛ", "bg") == "ъгъл"


def test_lithuanian_keeps_the_dot_under_an_accent():
    assert lower("Ì Í Ĩ", "lt") == "i\u0307\u0300 i\u0307\u0301 i\u0307\u0303"
    assert lower("I\u0301J\u0301Į\u0301", "lt") == "i\u0307\u0301j\u0307\u0301į\u0307\u0301"
    assert lower("IŠ JĮ", "lt") == "iš jį"


def test_primary_language():
    assert [primary_language(tag) for tag in ("pt_BR", "zh-Hans-CN", None, " EN ")] == ["pt", "zh", "", "en"]
