"""R125: rules of `[text]` that undo each other, never apply, or were written as patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import asked, without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.recipe.schema import TextRules

_RANGE = re.compile("(a-z|A-Z|0-9|а-я|А-Я)")
_PATTERN = re.compile(r"^\[\^|\\[A-Za-z]|" + _RANGE.pattern)
_SYNTAX = "[]\\^"  # of a pattern, in what was meant as one


class TextRuleWithoutEffect:
    """A rule of `[text]` that cannot apply, that another one undoes, or that was meant as a pattern.

    Why: the rules run in the order of the keys, each on what the one before has left. After `lowercase` a capital in
    `replace` or `remove` meets nothing. A replacement that a later one turns back was made for nothing. And `remove`,
    `keep` and `allowed_characters` are lists of characters: "[^a-z]" removes the letters a and z, and an
    `allowed_characters` of "a-z" keeps transcripts of a, z and hyphens.

    Repair: small letters; one direction; the characters themselves.

    Sources: voxcli.text.normalize; reference-scripts of CTC fine-tuning, whose chars_to_ignore is a regular expression
    (an unescaped range there removes digits and apostrophes).
    """

    code: ClassVar[str] = "R125"
    name: ClassVar[str] = "text-rule-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone."""
        recipe = context.recipe
        rules = recipe.text
        yield from _capitals(rules)
        yield from _undone(rules)
        if not rules.remove_punctuation and asked(rules, "keep"):
            yield without_effect("text", ["keep"], "remove_punctuation is not true, so nothing is to be kept")
        if _PATTERN.search(rules.remove):
            yield _pattern(("text", "remove"), rules.remove)
        vocabulary = getattr(recipe.model, "vocabulary", None)
        if isinstance(vocabulary, str) and _RANGE.search(vocabulary):
            yield _pattern(("model", "vocabulary"), vocabulary)
        allowed = recipe.filter.allowed_characters
        if allowed is not None and _RANGE.search(allowed):
            yield _pattern(("filter", "allowed_characters"), allowed)
        elif allowed is not None and rules.lowercase and _letters(allowed) and allowed == allowed.upper():
            yield Finding(
                "error",
                "[filter] allowed_characters has capitals alone, and lowercase leaves none: every transcript is left "
                "out",
                f'allowed_characters = "{allowed.lower()}"',
                path=("filter", "allowed_characters"),
                fix=Fix({"filter.allowed_characters": allowed.lower()}),
            )


def _letters(text: str) -> bool:
    return any(character.isalpha() and character.upper() != character.lower() for character in text)


def _capitals(rules: TextRules) -> Iterator[Finding]:
    from voxcli.text.casing import lower

    if not rules.lowercase:
        return
    never = [old for old in rules.replace if lower(old, rules.language) != old]
    if never:
        pairs = {lower(old, rules.language): new for old, new in rules.replace.items()}
        yield Finding(
            "warning",
            f"replace never meets {', '.join(map(repr, never[:5]))}: lowercase comes before it",
            "write what is replaced in small letters",
            path=("text", "replace", never[0]),
            fix=Fix({"text.replace": pairs}) if len(pairs) == len(rules.replace) else None,
        )
    lost = [one for one in rules.remove if lower(one, rules.language) != one]
    if lost:
        kept = "".join(one for one in rules.remove if one not in lost)
        yield Finding(
            "warning",
            f"remove never meets {', '.join(map(repr, lost[:5]))}: lowercase comes before it",
            "write what is removed in small letters",
            path=("text", "remove"),
            fix=Fix({"text.remove": kept or None}),
        )


def _undone(rules: TextRules) -> Iterator[Finding]:
    pairs = list(rules.replace.items())
    for index, (old, new) in enumerate(pairs):
        if old == new:
            yield _idle(rules, old, f"'{old}' is replaced by itself")
        elif new and any(later == (new, old) for later in pairs[index + 1 :]):
            yield _idle(rules, new, f"'{old}' becomes '{new}', and a later pair turns it back")


def _idle(rules: TextRules, drop: str, why: str) -> Finding:
    kept: dict[str, Any] = {old: new for old, new in rules.replace.items() if old != drop}
    return Finding(
        "warning",
        f"text.replace undoes itself: {why}",
        "remove one of the two",
        path=("text", "replace", drop),
        fix=Fix({"text.replace": kept or None}),
    )


def _pattern(path: tuple[str, str], said: str) -> Finding:
    key = path[1]
    meant = _expanded(said)
    changes: dict[str, Any] = {".".join(path): meant}
    help = f'{key} = "{meant}"'
    if key == "remove" and (said.startswith("[^") or re.search(r"\\[A-Za-z]", said)):
        changes = {"text.remove": None, "text.remove_punctuation": True}
        help = "remove_punctuation = true removes punctuation; allowed_characters in [filter] leaves out the rest"
    return Finding(
        "warning",
        f"{'.'.join(path)} = {said!r} looks like a pattern; it is a list of characters, each one literally",
        help,
        path=path,
        fix=Fix(changes),
    )


def _expanded(said: str) -> str:
    """What a pattern of characters and ranges means, as characters."""

    def spelt(found: re.Match[str]) -> str:
        first, last = found[1].split("-")
        return "".join(map(chr, range(ord(first), ord(last) + 1)))

    whole = _RANGE.sub(spelt, said)
    return "".join(one for one in whole if one not in _SYNTAX)
