"""D030: texts on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class TextsOverlap:
    """Validation or test utterances say what also stands in the training split.

    Why: a score on sentences that were learned measures memory. With the speakers apart it still favours models that
    know the sentences, and language models that have read them.

    Repair: cut the splits by text, as `[holdout]` does, or leave the training utterances out.

    Sources: leakage, Kaufman et al. 2012; Common Voice's CorporaCreator takes one clip a sentence unless told
    otherwise. Short phrases that recur in any sample of a source are a note: `voxcli.data.overlap` says which.
    """

    code: ClassVar[str] = "D030"
    name: ClassVar[str] = "texts-overlap"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """What was found when the splits were read."""
        if context.data.transcripts:
            yield from (one for one in context.data.splits.findings if one.code == self.code)
