"""D018: texts in another language than the one that is declared, by their commonest words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import FOREIGN_WORDS, FOREIGN_WORDS_FROM, FOREIGN_WORDS_RATIO, FOREIGN_WORDS_READ
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class OtherLanguage:
    """The transcripts are in another language than the recipe or the data say.

    Why: Whisper's labels begin with the token of the language, casing goes by it, and a score is normalised by it. A
    data set of another language trains that language under the wrong name.

    Repair: the right `[model] language` and `[text] language`, or the right data.

    Sources: commonest words of a language are a third of its running text and rare in another's (Damashek, Science 267,
    1995). Thirteen languages are known; measured here, see FOREIGN_WORDS.
    """

    code: ClassVar[str] = "D018"
    name: ClassVar[str] = "language-not-declared"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """The function words of the training split as a whole, of a sample of it where it is large."""
        from voxcli.doctor.data.languages import written
        from voxcli.text.function_words import WORDS, shares
        from voxcli.text.scripts import language_name

        data = context.data
        if not data.transcripts:
            return
        table = data.used("train")
        for language, rows in written(context, table):
            code = language_name(language)
            if code not in WORDS:
                continue
            sample = rows[:: max(1, len(rows) // FOREIGN_WORDS_READ)]
            words, found = shares(table.select(sample).texts)
            best = max(found, key=lambda one: found[one])
            foreign = found[best] >= FOREIGN_WORDS and found[code] <= found[best] * FOREIGN_WORDS_RATIO
            if words >= FOREIGN_WORDS_FROM and foreign:
                yield Finding(
                    "warning",
                    f"the transcripts declared as '{language}' look like '{best}': {found[best]:.0%} of the words are "
                    f"among its commonest, {found[code]:.0%} among those of '{code}' (of {len(sample):,} utterances)",
                    "correct the language in [model], [text] or the data, or take the data of the right language",
                )
