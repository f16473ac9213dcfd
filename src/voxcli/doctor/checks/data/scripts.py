"""D014: utterances in another script than their language's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import STRANGE_LATIN_LETTERS, STRANGE_LETTERS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.api import Split
    from voxcli.doctor.context import Context


class OtherScript:
    """Transcripts stand in another script than the one of their language.

    Why: such a row is of another language, was read with a wrong encoding, or transliterated. A few of them add classes
    to a CTC vocabulary that are never learned; many of them train another language than the recipe says.

    Repair: leave the utterances out, or correct the language that the recipe or the manifest says.

    Sources: Unicode's character names; CLDR's likely subtags for the scripts of a language. Measured here: no finding
    on the transcripts of seven real data sets in six languages.
    """

    code: ClassVar[str] = "D014"
    name: ClassVar[str] = "script-not-of-language"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Split by split, and language by language where the data say one."""
        from voxcli.doctor.data.languages import written

        data = context.data
        if not data.transcripts:
            return
        for split in data.filled:
            if not _scripts(data.characters(split).counts):
                continue
            for language, rows in written(context, data.used(split)):
                yield from self._group(context, split, language, rows)

    def _group(self, context: Context, split: Split, language: str | None, rows: Any) -> Iterator[Finding]:
        import numpy as np

        from voxcli.doctor.data.rows import counted, named, of, quoted
        from voxcli.text.codepoints import CodePoints
        from voxcli.text.scripts import script, scripts_of

        table = context.data.used(split)
        whole = len(rows) == len(table)
        points = context.data.characters(split) if whole else CodePoints(table.select(rows).texts.array)
        found = _scripts(points.counts)
        own = scripts_of(language) or _related(found.most_common(1)[0][0] if found else "")
        strangers = {name for name in found if name not in own}
        if not strangers:
            return
        of_own = points.tally(lambda one: script(one) in own)
        latin = points.tally(lambda one: script(one) == "LATIN" and "LATIN" in strangers)
        others = points.tally(lambda one: script(one) in strangers and script(one) != "LATIN")
        wholly = (of_own == 0) & ((others >= STRANGE_LETTERS) | (latin >= STRANGE_LATIN_LETTERS))
        mostly = ~wholly & (of_own > 0) & (others > of_own) & (others >= STRANGE_LATIN_LETTERS)
        hit = rows[wholly | mostly]
        told = f"'{language}'" if language else "most of the texts"
        if len(hit):
            names = ", ".join(sorted(strangers, key=lambda name: -found[name])[:3]).title()
            most = len(hit) > len(rows) / 2
            yield Finding(
                "warning",
                f"{of(len(hit), len(rows))} of the {split} split are written in another script ({names}) than {told}: "
                f"{quoted(table.texts[int(hit[0])])}",
                "correct the language that the recipe or the data say"
                if most
                else "leave them out, or mend their texts",
                utterances=named(table, hit),
                fix=None if most else Fix(leave_out=context.data.leave_out(split, table, hit)),
            )
        beside = rows[(of_own > 0) & ~mostly & (others > 0)]
        if len(beside):
            yield Finding(
                "note",
                f"{counted(len(beside))} of the {split} split hold letters of another script than {told}: "
                f"{quoted(table.texts[int(beside[0])])}",
                "look whether they belong there",
                utterances=named(table, np.asarray(beside)),
            )


def _scripts(counts: dict[str, int]) -> Counter[str]:
    from voxcli.text.scripts import script

    found: Counter[str] = Counter()
    for character, count in counts.items():
        if (name := script(character)) is not None:
            found[name] += count
    return found


def _related(name: str) -> frozenset[str]:
    """The scripts that stand beside one in the same language, where no language is known."""
    from voxcli.text.scripts import scripts_of

    east = scripts_of("ja") | scripts_of("zh") | scripts_of("ko")
    return east if name in east else frozenset({name})
