"""What is compared when error rates are counted."""

from __future__ import annotations

import pytest

from voxcli.text.scoring import english_spelling_of, scoring_normalizer


@pytest.mark.parametrize(
    ("language", "text", "scored"),
    [
        ("tr", "IŞIK, İzmir’de!", "ışık izmir de"),
        ("hi", "नमस्ते, दुनिया। हिन्दी", "नमस्ते दुनिया हिन्दी"),
        ("th", "น้ำ, สวัสดี", "น้ำ สวัสดี"),
        ("ml", "അവൻ വീട്ടിൽ വന്നു.", "അവൻ വീട്ടിൽ വന്നു"),
        ("bg", "„Жаба“ – и ѝ", "жаба и ѝ"),
        ("ja", "「ｱｲｳ」ＡＢＣ。", "アイウ abc"),
        ("zh", "你好，世界！", "你好 世界"),
        (None, "Crème [noise] (laughs) brûlée", "crème brûlée"),
        ("fr", "L’été, l'hiver", "l été l hiver"),
    ],
)
def test_languages(language, text, scored):
    assert scoring_normalizer(language)(text) == scored


def test_the_known_defect_of_the_original_is_real_and_gone():
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    text = "हिन्दी में"
    assert len(BasicTextNormalizer()(text).split()) > 2  # marks become spaces: words fall apart
    assert scoring_normalizer("hi")(text).split() == ["हिन्दी", "में"]


@pytest.mark.parametrize("text", ["Добър ден, свят!", "Ça va? [rire] Très «bien»", "Größe: 5,5 m²", "a–b_c", "Ł ø ß"])
def test_equal_to_the_original_where_there_are_no_marks(text):
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    assert scoring_normalizer("xx")(text) == BasicTextNormalizer()(text).strip()


def test_spellings_of_one_word_are_equal():
    malayalam = scoring_normalizer("ml")
    assert malayalam("അവന്\u200d") == malayalam("അവൻ")
    ukrainian = scoring_normalizer("uk")
    assert ukrainian("п'ять") == ukrainian("п’ять") == ukrainian("пʼять")
    assert scoring_normalizer("fr")("e\u0301te\u0301") == "été"
    assert scoring_normalizer("fa")("می\u200cروم") == "میروم"


def test_a_symbol_leaves_no_mark_behind():
    assert scoring_normalizer("bg")("да ❤\ufe0f не") == "да не"


def test_english_is_whispers_own():
    english = scoring_normalizer("en", {"colour": "color"})
    assert english("Mr. Brown's colour: twenty five percent, isn't it?") == "mister brown is color 25% is not it"
    assert scoring_normalizer("en-GB")("Colour") == "colour"


def test_a_lone_dot_is_no_english_word():
    normalize = scoring_normalizer("en")
    assert normalize("to other participants...") == "to other participants"
    assert normalize("It costs $3.50, or 20%.") == "it costs $3.50 or 20%"


def test_english_spelling_of_a_tokenizer():
    class Whisper:
        english_spelling_normalizer = {"grey": "gray"}  # noqa: RUF012

    assert english_spelling_of(Whisper()) == {"grey": "gray"}
    assert english_spelling_of(object()) is None
