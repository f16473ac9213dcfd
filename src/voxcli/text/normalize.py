"""A transcript and the recipe's `[text]` rules -> the text that a model learns.

The rules run in the order of `TextRules`' keys; white space is collapsed at the end. Normal forms are those of Unicode
Annex 15. Two things happen whatever the rules say, because nobody can see or hear the difference: format characters
that only steer typesetting (soft hyphen, direction marks, byte-order mark) vanish, and control characters count as
spaces. The joiners U+200C and U+200D stay: Persian, Malayalam and Sinhala spell with them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from voxcli.recipe.schema import TextRules
from voxcli.text.casing import lower
from voxcli.text.lines import collapsed, translated

JOINERS = "\u200c\u200d"

_Form = Literal["NFC", "NFKC", "NFD", "NFKD"]
_Key = tuple[str | None, _Form, tuple[tuple[str, str], ...], bool, str, bool, str, bool]


def normalize(text: str, rules: TextRules) -> str:
    """The transcript after `rules`; "" where nothing is left of it."""
    return normalizer(rules)(text)


@dataclass(frozen=True)
class Normalizer:
    """The rules, prepared once: call it with one text."""

    one: Callable[[str], str]
    lines: Callable[[str], str] | None
    """Many texts, one a line, at once: each line comes out as `one` returns it. None where a rule names a newline."""
    key: _Key
    """All that the result depends on beside the text."""

    def __call__(self, text: str) -> str:
        """The text after the rules."""
        return self.one(text)


def normalizer(rules: TextRules) -> Normalizer:
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
def _prepare(key: _Key) -> Normalizer:
    language, form, replacements, lowercase, remove, remove_punctuation, keep, strip_marks = key
    canonical: _Form = "NFD" if form.endswith("D") else "NFC"

    def written(text: str) -> str:
        """What the recipe's author typed, in the form that the texts have by then."""
        return unicodedata.normalize(canonical, text)

    pairs = [(written(old), new) for old, new in replacements if old]
    singles, sequences = _removed(remove, form, canonical)
    table = _Table(singles, remove_punctuation, frozenset(written(keep)))

    def changed(text: str) -> str:
        text = unicodedata.normalize(form, text)
        if lowercase:
            text = lower(text, language)
        for old, new in pairs:
            text = text.replace(old, new)
        for sequence in sequences:
            text = text.replace(sequence, "")
        return text

    def apply(text: str) -> str:
        text = changed(text).translate(table)
        if strip_marks:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        # canonical only: a compatibility form would undo what `replace` wrote
        return unicodedata.normalize(canonical, " ".join(text.split()))

    def apply_to_lines(text: str) -> str:
        # a newline composes with nothing and ends every context that lower-casing looks at
        text = translated(changed(text), table)
        if strip_marks:
            text = translated(unicodedata.normalize("NFD", text), _Marks())
        return unicodedata.normalize(canonical, collapsed(text))

    spans_lines = any("\n" in old or "\n" in new for old, new in pairs)
    return Normalizer(apply, None if spans_lines else apply_to_lines, key)


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


class _Marks(dict[int, str | None]):
    """A table that removes combining marks."""

    def __missing__(self, code: int) -> str | None:
        self[code] = made = None if unicodedata.category(chr(code)) == "Mn" else chr(code)
        return made
