"""D011: digits in transcripts that a model of characters learns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DigitsInTranscripts:
    """Transcripts hold digits, and a CTC model has to spell what it hears.

    Why: "42" is spoken "forty-two" or "four two", and the frames of a CTC model have no way to know which sign stands
    for which word. Models with a decoder learn it from much text.

    Repair: write numbers as words before training, as a person would say them; or leave those utterances out with
    `[filter] allowed_characters`.

    Sources: wav2vec 2.0 was trained on transcripts in words (LibriSpeech, arXiv 2006.11477); conditional independence
    of CTC's frames: Graves et al. 2006.
    """

    code: ClassVar[str] = "D011"
    name: ClassVar[str] = "digits-in-transcripts"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Decimal digits after `[text]`, in the training split."""
        from voxcli.doctor.data.rows import named, of

        if context.recipe.task_name != "ctc":
            return
        table, points = context.data.used("train"), context.data.characters("train")
        hit = points.holding(str.isdecimal)
        if hit.any():
            yield Finding(
                "note",
                f"{of(int(hit.sum()), len(table))} of the train split hold digits; how they are spoken is not known",
                "write numbers as words, or leave the utterances out with [filter] allowed_characters",
                utterances=named(table, hit),
            )
