"""D010: digits, letters and marks that a rule of `[text]` deletes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import STRIPPED
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_UNSPOKEN = ("COMBINING", "ARABIC", "HEBREW", "CYRILLIC")  # vowel points and stress marks, usually not written
_TATWEEL = "\u0640"
_APOSTROPHES = "'’"


class SpokenCharactersRemoved:
    """A rule of `[text]` deletes digits, letters or marks that are spoken.

    Why: the recording says "route 90" and the label says "route". The model learns to leave words out, and the score is
    counted against the same wrong text, so that nobody sees it. `[text] remove` takes characters literally: "0-9" is a
    0, a hyphen and a 9. `strip_marks` makes é an e, which is another letter in most languages, and takes the vowels
    away from Devanagari and its like.

    Repair: take the characters out of `remove`; write numbers as words; `strip_marks = false`.

    Sources: an unescaped hyphen in the reference scripts' `chars_to_ignore` deletes digits and capitals (transformers
    examples, tried); marks torn from Hindi and Malayalam make scores meaningless (arXiv 2409.02449, transformers
    issue 20703).
    """

    code: ClassVar[str] = "D010"
    name: ClassVar[str] = "spoken-characters-removed"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """The rules against the characters that the transcripts have."""
        rules = context.data.text
        blank = [old for old, new in rules.replace.items() if not new.strip()]
        if not (rules.remove or blank or rules.strip_marks or rules.remove_punctuation):
            return
        if spoken := [one for one in dict.fromkeys(rules.remove) if _spoken(one)]:
            kept = "".join(one for one in rules.remove if one not in spoken)
            yield from _deleted(context, spoken, "remove", Fix({"text.remove": kept}))
        if lost := [old for old in blank if len(old) == 1 and _spoken(old)]:
            left = {old: new for old, new in rules.replace.items() if old not in lost}
            yield from _deleted(context, lost, "replace", Fix({"text.replace": left}))
        if rules.strip_marks:
            yield from _stripped(context)
        split_words = [one for one in _APOSTROPHES if rules.remove_punctuation and one not in rules.keep]
        if split_words:
            yield from _torn(context, split_words)


def _deleted(context: Context, characters: list[str], key: str, fix: Fix) -> Iterator[Finding]:
    from voxcli.doctor.data import rows as told

    both = {form for one in characters for form in (one, one.upper() if context.data.text.lowercase else one)}
    for split, table, points in _originals(context):
        present = [one for one in both if one in points.counts and len(one) == 1]
        hit = points.holding(present) if present else None
        if hit is None or not hit.any():
            continue
        row = int(hit.argmax())
        before, after = told.quoted(table.originals[row]), told.quoted(table.texts[row])
        yield Finding(
            "warning",
            f"[text] {key} deletes {told.characters(sorted(present))} from "
            f"{told.of(int(hit.sum()), len(table))} of the {split} split: {before} becomes {after}",
            f"{key} takes characters literally, without ranges: take digits, letters and marks out of it",
            path=("text", key),
            utterances=told.named(table, hit),
            fix=fix,
        )


def _stripped(context: Context) -> Iterator[Finding]:
    from voxcli.doctor.data import rows as told

    for split, table, points in _originals(context):
        marked = [one for one in points.counts if any(_mark(part) for part in unicodedata.normalize("NFD", one))]
        hit = points.holding(marked) if marked else None
        if hit is None or not hit.any():
            continue
        vowels = any(unicodedata.combining(one) in (0, 7, 9) and _spoken(one) for one in marked if _mark(one))
        row, share = int(hit.argmax()), float(hit.mean())
        before, after = told.quoted(table.originals[row]), told.quoted(table.texts[row])
        yield Finding(
            "warning" if vowels or share >= STRIPPED else "note",
            f"[text] strip_marks takes marks from {told.of(int(hit.sum()), len(table))} of the {split} split: "
            f"{before} becomes {after}",
            "strip_marks = false, where the marks belong to the language's spelling",
            path=("text", "strip_marks"),
            utterances=told.named(table, hit),
            fix=Fix({"text.strip_marks": False}),
        )


def _torn(context: Context, marks: list[str]) -> Iterator[Finding]:
    import numpy as np
    import pyarrow.compute as pc

    from voxcli.doctor.data import rows as told

    for split, table, points in _originals(context):
        if not points.counts.keys() & set(marks):
            continue
        found = pc.match_substring_regex(table.originals.array, rf"\pL[{''.join(marks)}]\pL")
        hit = np.asarray(pc.fill_null(found, False).to_numpy(), dtype=np.bool_)
        if hit.any():
            row = int(hit.argmax())
            yield Finding(
                "note",
                f"[text] remove_punctuation tears {told.of(int(hit.sum()), len(table))} of the {split} split apart at "
                f"apostrophes: {told.quoted(table.originals[row])} becomes {told.quoted(table.texts[row])}",
                f"keep = {context.data.text.keep + ''.join(marks)!r}",
                path=("text", "keep"),
                utterances=told.named(table, hit),
                fix=Fix({"text.keep": context.data.text.keep + "".join(marks)}),
            )


def _originals(context: Context) -> Iterator[tuple[str, Any, Any]]:
    """(split, table, characters before the rules) of the splits that have texts."""
    data = context.data
    for split in data.filled:
        yield split, data.used(split), data.characters_before(split)


def _spoken(character: str) -> bool:
    """Digits, letters, and marks that their script cannot be read without."""
    category = unicodedata.category(character)
    if category[0] in "LN":
        return character != _TATWEEL
    return category[0] == "M" and unicodedata.name(character, "COMBINING").split()[0] not in _UNSPOKEN


def _mark(character: str) -> bool:
    """A mark that `strip_marks` takes away and that is not left out in ordinary spelling anyway."""
    points = ("ARABIC", "HEBREW")
    return unicodedata.category(character) == "Mn" and unicodedata.name(character, "COMBINING").split()[0] not in points
