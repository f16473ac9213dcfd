"""A language -> the function that reference and hypothesis go through before their normalised error rate is counted.

English: the normaliser of Whisper (arXiv 2212.04356, appendix C), whose spellings come with a checkpoint. Every other
language: what Whisper's basic normaliser does (bracketed words go, lower case, punctuation and symbols become spaces),
but marks are **kept**. The original replaces every mark by a space, which tears words of Hindi, Thai, Malayalam …
apart and makes their word error rate meaningless.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache

from voxcli.text.casing import lower, primary_language
from voxcli.text.lines import characters_of, collapsed, translated

_ENGLISH = frozenset({"en", "eng", "english"})

# Words that a recogniser puts in brackets describe sounds: [music], (laughs). As in Whisper's normalisers.
_BRACKETED = re.compile(r"[<\[][^>\]]*[>\]]|\([^)]+?\)")

_BRACKETS = frozenset("<[(")

# One spelling for what looks the same; the key is a sign without which nothing has to be done.
_RESPELT = {
    # NFKC takes the vowel sara am apart, which nobody writes: Thai and Lao
    "\u0e4d": (("\u0e4d\u0e32", "\u0e33"),),
    "\u0ecd": (("\u0ecd\u0eb2", "\u0eb3"),),
    # Malayalam's final consonants are one letter or, in older text, consonant + virama + joiner
    "\u0d4d": tuple((consonant + "\u0d4d\u200d", letter) for consonant, letter in zip("ണനരലളക", "ൺൻർൽൾൿ", strict=True)),
}

_APOSTROPHES = "\u02bb\u02bc"  # letters to Unicode, apostrophes to those who type: Ukrainian, Uzbek, Hawaiian


def scoring_normalizer(language: str | None, english_spelling: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """The normaliser of a language; None or an unknown one gets the general rules.

    `english_spelling` maps British to American spellings; a Whisper tokenizer carries it
    (`english_spelling_of`). Without it English spelling variants count as errors.
    """
    if primary_language(language) in _ENGLISH:
        return _english(tuple(sorted((english_spelling or {}).items())))
    return _general(primary_language(language))


def english_spelling_of(tokenizer: object) -> Mapping[str, str] | None:
    """The spelling map that a checkpoint's tokenizer carries, or None."""
    found = getattr(tokenizer, "english_spelling_normalizer", None)
    return found if isinstance(found, Mapping) and found else None


@lru_cache(maxsize=4)
def _english(spelling: tuple[tuple[str, str], ...]) -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    whisper = EnglishTextNormalizer(dict(spelling))

    def apply(text: str) -> str:
        # it keeps the dots of numbers, and with them the last one of "…" as a word of its own
        return " ".join(word for word in str(whisper(text)).split() if word.strip("."))

    return apply


@lru_cache(maxsize=64)
def _general(language: str) -> Callable[[str], str]:
    table = _Table()

    def apply(text: str) -> str:
        if not _BRACKETS.isdisjoint(text):
            text = _BRACKETED.sub("", text)
        text = unicodedata.normalize("NFKC", text)
        for sign, respellings in _RESPELT.items():
            if sign in text:
                for apart, whole in respellings:
                    text = text.replace(apart, whole)
        words = lower(text, language).translate(table).split()
        if not table.marks.isdisjoint(text):
            words = [word for word in (_bare(word, table.marks) for word in words) if word]
        return " ".join(words)

    return apply


def scored_lines(text: str) -> str:
    """Many texts, one a line and none with a bracket in it: each as `scoring_normalizer(None)` returns it."""
    text = unicodedata.normalize("NFKC", text)
    for sign, respellings in _RESPELT.items():
        if sign in text:
            for apart, whole in respellings:
                text = text.replace(apart, whole)
    text = collapsed(translated(lower(text, ""), _Table()))
    marks = "".join(c for c in characters_of(text) if unicodedata.category(c)[0] == "M")
    if marks:
        text = collapsed(re.sub(rf"(?:^|(?<= )|(?<=\n))[{re.escape(marks)}]+", "", text))
    return text


def _bare(word: str, marks: set[str]) -> str:
    """A word without marks at its beginning: their letter was a symbol (an emoji's variation selector)."""
    start = 0
    while start < len(word) and word[start] in marks:
        start += 1
    return word[start:]


class _Table(dict[int, str | None]):
    """A table for `str.translate` that decides each character once, when it first meets it."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: set[str] = set()
        """The marks met so far."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        decided: str | None = character
        if category in ("Cf", "Cn", "Co", "Cs"):  # joiners, soft hyphens, direction marks: not heard
            decided = None
        elif category == "Cc" or category[0] in "PS" or character in _APOSTROPHES:
            decided = " "
        if category[0] == "M":
            self.marks.add(character)
        self[code] = decided
        return decided
