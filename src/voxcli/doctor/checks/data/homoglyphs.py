"""D015: words of two scripts whose letters look the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_WORD = re.compile(r"[^\W\d_]+")


class MixedScriptWord:
    """Words mix letters of two scripts that look the same, such as a Cyrillic а in a Latin word.

    Why: nobody sees it, and to a computer it is another word: a second class for the same sound in a CTC vocabulary,
    other tokens for a decoder, an error in every score.

    Repair: write the letter of the word's own script, for example `[text] replace = { "а" = "a" }` where the whole data
    set is in one script.

    Sources: Unicode Technical Standard 39, mixed-script confusables.
    """

    code: ClassVar[str] = "D015"
    name: ClassVar[str] = "mixed-script-word"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Words that stand in one script once look-alikes are exchanged."""
        import numpy as np

        from voxcli.doctor.data.rows import named, of
        from voxcli.text.scripts import script, untwinned

        data = context.data
        for split in data.filled:
            points, table = data.characters(split), data.used(split)
            latin = [one for one in points.counts if script(one) == "LATIN"]
            other = [one for one in points.counts if script(one) in ("CYRILLIC", "GREEK")]
            if not latin or not other:
                continue
            candidates = np.flatnonzero(points.holding(latin) & points.holding(other))
            rows: list[int] = []
            example = ("", "")
            for row, text in zip(candidates, table.select(candidates).texts, strict=True):
                for word in _WORD.findall(text or ""):
                    meant = untwinned(word)
                    if meant is not None:
                        example = (word, meant) if not rows else example
                        rows.append(int(row))
                        break
            if rows:
                chosen = np.asarray(rows, dtype=np.int64)
                wrong = [one for one, right in zip(*example, strict=True) if one != right]
                yield Finding(
                    "warning",
                    f"{of(len(rows), len(table))} of the {split} split hold words of two scripts: in '{example[0]}', "
                    f"{' '.join(f'U+{ord(one):04X}' for one in dict.fromkeys(wrong))} only looks like its letter",
                    "write the letters of one script, for example with [text] replace",
                    utterances=named(table, chosen),
                    fix=Fix(leave_out=data.leave_out(split, table, chosen)),
                )
