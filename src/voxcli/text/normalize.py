"""A transcript and the recipe's `[text]` rules -> the text that a model learns.

The rules run in the order of `TextRules`' keys; white space is collapsed at the end. Normal forms are those of Unicode
Annex 15. Two things happen whatever the rules say, because nobody can see or hear the difference: format characters
that only steer typesetting (soft hyphen, direction marks, byte-order mark) vanish, and control characters count as
spaces. The joiners U+200C and U+200D stay: Persian, Malayalam and Sinhala spell with them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from voxcli.recipe.schema import TextRules
from voxcli.text.casing import lower

JOINERS = "\u200c\u200d"

_Form = Literal["NFC", "NFKC", "NFD", "NFKD"]
_Key = tuple[str | None, _Form, tuple[tuple[str, str], ...], bool, str, bool, str, bool]


def normalize(text: str, rules: TextRules) -> str:
    """The transcript after `rules`; "" where nothing is left of it."""
    return normalizer(rules)(text)


def normalizer(rules: TextRules) -> Callable[[str], str]:
    """`normalize` for many texts: the rules are prepared once."""
    return _prepare(
        (
            rules.language,
            rules.unicode_form,
            tuple(rules.replace.items()),
            rules.lowercase,
            rules.remove,
            rules.remove_punctuation,
            rules.keep,
            rules.strip_marks,
        )
    )


@lru_cache(maxsize=32)
def _prepare(key: _Key) -> Callable[[str], str]:
    language, form, replacements, lowercase, remove, remove_punctuation, keep, strip_marks = key
    canonical: _Form = "NFD" if form.endswith("D") else "NFC"

    def written(text: str) -> str:
        """What the recipe's author typed, in the form that the texts have by then."""
        return unicodedata.normalize(canonical, text)

    pairs = [(written(old), new) for old, new in replacements if old]
    singles, sequences = _removed(remove, form, canonical)
    table = _Table(singles, remove_punctuation, frozenset(written(keep)))

    def apply(text: str) -> str:
        text = unicodedata.normalize(form, text)
        if lowercase:
            text = lower(text, language)
        for old, new in pairs:
            text = text.replace(old, new)
        for sequence in sequences:
            text = text.replace(sequence, "")
        text = text.translate(table)
        if strip_marks:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        # canonical only: a compatibility form would undo what `replace` wrote
        return unicodedata.normalize(canonical, " ".join(text.split()))

    return apply


def _removed(remove: str, form: _Form, canonical: _Form) -> tuple[frozenset[str], list[str]]:
    """The characters to delete as texts of `form` hold them: single code points, and sequences where NFD splits one."""
    singles, sequences = set(), []
    for character in unicodedata.normalize("NFC", remove):
        forms = {unicodedata.normalize(canonical, character)}
        folded = unicodedata.normalize(form, character)
        if len(folded) == 1:  # a full-width "！" has become "!" by then; a ligature must not delete the letters f and i
            forms.add(folded)
        for text in forms:
            if len(text) == 1:
                singles.add(text)
            else:
                sequences.append(text)
    return frozenset(singles), sequences


class _Table(dict[int, str | None]):
    """A table for `str.translate` that decides each character once, when it first meets it."""

    def __init__(self, removed: frozenset[str], remove_punctuation: bool, keep: frozenset[str]) -> None:
        super().__init__()
        self._removed, self._punctuation, self._keep = removed, remove_punctuation, keep

    def __missing__(self, code: int) -> str | None:
        self[code] = made = self._decide(chr(code))
        return made

    def _decide(self, character: str) -> str | None:
        category = unicodedata.category(character)
        if character in self._removed:
            return None
        if category == "Cc":
            return " "
        if category == "Cf":
            return character if character in JOINERS else None
        if self._punctuation and category[0] in "PS" and character not in self._keep:
            return " "
        return character
