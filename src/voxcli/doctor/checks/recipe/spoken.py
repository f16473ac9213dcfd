"""The languages that a recipe names for its speech, as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.recipe.resolve import Recipe

_LONG = {  # ISO 639-3 and names that data sets use, to ISO 639-1
    "cmn": "zh", "zho": "zh", "chi": "zh", "mandarin": "zh", "chinese": "zh", "cantonese": "yue",
    "jpn": "ja", "japanese": "ja", "tha": "th", "thai": "th", "lao": "lo", "khm": "km", "khmer": "km",
    "mya": "my", "bur": "my", "burmese": "my", "myanmar": "my", "hin": "hi", "hindi": "hi", "mar": "mr",
    "marathi": "mr", "nep": "ne", "npi": "ne", "nepali": "ne", "ben": "bn", "bengali": "bn", "asm": "as",
    "assamese": "as", "pan": "pa", "punjabi": "pa", "guj": "gu", "gujarati": "gu", "ori": "or", "ory": "or",
    "odia": "or", "tam": "ta", "tamil": "ta", "tel": "te", "telugu": "te", "kan": "kn", "kannada": "kn",
    "mal": "ml", "malayalam": "ml", "sin": "si", "sinhala": "si", "sinhalese": "si", "san": "sa", "sanskrit": "sa",
    "bod": "bo", "tibetan": "bo", "vie": "vi", "vietnamese": "vi", "eng": "en", "english": "en",
    "tur": "tr", "turkish": "tr", "deu": "de", "ger": "de", "german": "de", "fra": "fr", "fre": "fr", "french": "fr",
    "spa": "es", "spanish": "es", "rus": "ru", "russian": "ru",
}  # fmt: skip


def code(name: str) -> str:
    """A code or an English name -> its two letters where they are known here: "zh-CN" and "cmn" -> "zh"."""
    first = name.strip().lower().replace("_", "-").partition("-")[0]
    return _LONG.get(first, first)


def languages(recipe: Recipe) -> set[str]:
    """What [model], [text] and [[data]] name; empty where none does."""
    said = [recipe.tables["model"].get("language"), recipe.text.language]
    said += [table.get("language") for table in recipe.tables["data"]]
    return {code(one) for one in said if isinstance(one, str) and one.strip()}
