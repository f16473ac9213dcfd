"""Text and a language -> the text in lower case, by that language's rules.

The rules are the language-dependent part of Unicode's SpecialCasing.txt: Turkish and Azerbaijani keep dotted and
dotless i apart (I -> ı, İ -> i); Lithuanian keeps the dot of i and j under a further accent. `str.lower` knows neither.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

DOT_ABOVE = "\u0307"

_TURKIC = frozenset({"tr", "tur", "turkish", "az", "aze", "azj", "azerbaijani"})
_LITHUANIAN = frozenset({"lt", "lit", "lithuanian"})
_ABOVE = 230  # canonical combining class of marks that stand above their letter


@lru_cache(maxsize=256)
def primary_language(language: str | None) -> str:
    """The primary subtag in lower case, "" for None: "tr-TR" and "TR" -> "tr", "pt_BR" -> "pt"."""
    return (language or "").strip().lower().replace("_", "-").partition("-")[0]


def lower(text: str, language: str | None = None) -> str:
    """Lower case by the rules of a BCP-47, ISO 639 or English language name; the general rules where it has none."""
    code = primary_language(language)
    if code in _TURKIC:
        text = _turkic(text)
    elif code in _LITHUANIAN:
        text = _lithuanian(text)
    return text.lower()


def _turkic(text: str) -> str:
    """I with a dot above becomes i, I without one becomes ı; everything else is left to the general rules."""
    text = text.replace("İ", "i")
    if DOT_ABOVE not in text:
        return text.replace("I", "ı")
    out = list(text)
    for index, character in enumerate(out):
        if character != "I":
            continue
        dot = _mark_above(text, index, only=DOT_ABOVE)
        if dot is None:
            out[index] = "ı"
        else:
            out[index], out[dot] = "i", ""
    return "".join(out)


def _lithuanian(text: str) -> str:
    """I, J and Į keep a visible dot when another mark stands above them."""
    for composed, parts in (("Ì", "i\u0307\u0300"), ("Í", "i\u0307\u0301"), ("Ĩ", "i\u0307\u0303")):
        text = text.replace(composed, parts)
    out = list(text)
    for index, character in enumerate(out):
        if character in "IJĮ" and _mark_above(text, index) is not None:
            out[index] = character.lower() + DOT_ABOVE
    return "".join(out)


def _mark_above(text: str, index: int, only: str | None = None) -> int | None:
    """Where the next mark above the letter at `index` stands, with no base and no other mark above in between."""
    for place in range(index + 1, len(text)):
        combining = unicodedata.combining(text[place])
        if combining == _ABOVE:
            return place if only is None or text[place] == only else None
        if combining == 0:
            return None
    return None
