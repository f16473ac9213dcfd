"""D012: Turkish or Azerbaijani text in lower case by another language's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_TURKIC = ("tr", "az")
_DOTTED = "i\u0307"
_LITHUANIAN_MARKS = "\u0300\u0301\u0303"  # keep the dot of their i
_DOTLESS = {"ı", "ğ"}  # together in no other orthography


class TurkicCasing:
    """Turkish or Azerbaijani text is put into lower case by the rules of another language.

    Why: these languages have two letters, I/ı and İ/i. The general rules make an i of I, which is another word, and an
    i with a combining dot of İ: two characters, of which the second is a class that no recording ever says.

    Repair: `[text] language = "tr"` (or "az"). Where the data hold the combining dot already, take the texts as they
    were before somebody lower-cased them; `replace = { "i̇" = "i" }` mends the dot and not the lost ı.

    Sources: SpecialCasing.txt of Unicode, the entries of tr and az; Unicode standard, section 5.18.
    """

    code: ClassVar[str] = "D012"
    name: ClassVar[str] = "turkic-casing"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """What the rules would do, and what somebody has done before."""
        from voxcli.doctor.data.languages import written
        from voxcli.doctor.data.rows import named, of, quoted
        from voxcli.text.scripts import language_name

        data = context.data
        rules = data.text
        for split in data.filled:
            table, before = data.used(split), data.characters_before(split)
            languages = {language_name(one) for one, _ in written(context, table)}
            known = next((one for one in _TURKIC if one in languages), None)
            if known is None and not ("İ" in before.counts or before.counts.keys() >= _DOTLESS):
                continue
            capitals = [one for one in "Iİ" if one in before.counts]
            if rules.lowercase and language_name(rules.language) not in _TURKIC and capitals:
                hit = before.holding(capitals)
                row = int(hit.argmax())
                yield Finding(
                    "warning",
                    f"[text] lowercase goes by general rules in {of(int(hit.sum()), len(table))} of the {split} split "
                    f"with I or İ: {quoted(table.originals[row])} becomes {quoted(table.texts[row])}",
                    f'[text] language = "{known or "tr"}": I becomes ı, İ becomes i',
                    path=("text", "language" if rules.language else "lowercase"),
                    utterances=named(table, hit),
                    fix=Fix({"text.language": known or "tr"}),
                )
        yield from self._dots(context)

    def _dots(self, context: Context) -> Iterator[Finding]:
        import numpy as np
        import pyarrow.compute as pc

        from voxcli.doctor.data.rows import named, of, quoted

        data = context.data
        for split in data.filled:
            if "\u0307" not in data.characters_before(split).counts:
                continue
            table = data.used(split)
            pattern = f"{_DOTTED}([^{_LITHUANIAN_MARKS}]|$)"
            found = pc.and_(*(pc.match_substring_regex(c.array, pattern) for c in (table.originals, table.texts)))
            hit = np.asarray(pc.fill_null(found, False).to_numpy(), dtype=np.bool_)
            if hit.any():
                yield Finding(
                    "warning",
                    f"{of(int(hit.sum()), len(table))} of the {split} split hold an i with a combining dot (U+0307): "
                    f"İ in lower case by rules that are not Turkish, as in {quoted(table.texts[int(hit.argmax())])}",
                    'take the texts from before they were lower-cased, with [text] language = "tr"; '
                    'or replace = { "i̇" = "i" }, which leaves I and ı mixed up',
                    path=("text", "replace"),
                    utterances=named(table, hit),
                    fix=Fix({"text.replace": {**data.text.replace, _DOTTED: "i"}}),
                )
