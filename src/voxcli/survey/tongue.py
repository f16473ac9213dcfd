"""Texts -> those of another language than they are said to be, one by one: by their script, and by their words.

A short text says little: names, numbers and words that languages share tell nothing. Words decide only where a text has
FEWEST of them or more, none of its own language's commonest ones and several of another's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from voxcli.doctor.checks.thresholds import STRANGE_LATIN_LETTERS, STRANGE_LETTERS
from voxcli.text.function_words import WORDS
from voxcli.text.scripts import language_name, script, scripts_of

FEWEST = 5  # words of a text whose language is told by them
HITS = 2  # different function words of the other language
SHARE = 0.3  # of the words

_WORD = re.compile(r"[^\W\d_]+")


def foreign(text: str, language: str | None) -> str | None:
    """What a text seems to be instead of its language: a script or a language's code; None where nothing speaks
    against it, or its language is not known here.
    """
    code = language_name(language)
    own = scripts_of(code)
    if own and (other := _script(text, own)) is not None:
        return other
    return _words(text, code) if code in WORDS else None


def foreign_texts(texts: Iterable[str | None], languages: Iterable[str | None]) -> list[str | None]:
    """`foreign` of each text."""
    return [
        foreign(text, language) if text and language else None for text, language in zip(texts, languages, strict=True)
    ]


def _script(text: str, own: frozenset[str]) -> str | None:
    """The script of a text without a letter of its own, or with far more of another."""
    names = [name for name in map(script, text) if name is not None]
    mine = sum(name in own for name in names)
    others = [name for name in names if name not in own]
    if not others:
        return None
    found, counts = np.unique(others, return_counts=True)
    most = str(found[int(counts.argmax())])
    strange = sum(name != "LATIN" for name in others)
    wholly = mine == 0 and (strange >= STRANGE_LETTERS or len(others) - strange >= STRANGE_LATIN_LETTERS)
    mostly = mine > 0 and strange > mine and strange >= STRANGE_LATIN_LETTERS
    return most.title() if wholly or mostly else None


def _words(text: str, code: str) -> str | None:
    words = _WORD.findall(text.lower())
    if len(words) < FEWEST or any(word in WORDS[code] for word in words):
        return None
    best, hits = None, 0
    for other, known in WORDS.items():
        found = [word for word in words if word in known]
        if len(set(found)) >= HITS and len(found) >= SHARE * len(words) and len(found) > hits:
            best, hits = other, len(found)
    return best
