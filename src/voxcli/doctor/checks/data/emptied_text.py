"""D009: transcripts of which `[text]` leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class EmptiedTranscript:
    """The rules of `[text]` leave nothing of a transcript.

    Why: what was said in the recording is gone from the label, and the utterance with it. A transcript of digits that a
    rule deletes, of a script that it does not know, or of punctuation only looks healthy in the data.

    Repair: change the rule where it deletes speech (`[text] remove`, `replace`); leave the utterances out where nothing
    was said in words.

    Sources: the reference scripts' ignored characters are a pattern, in which an unescaped hyphen deletes all digits
    and capitals (transformers examples, `chars_to_ignore`).
    """

    code: ClassVar[str] = "D009"
    name: ClassVar[str] = "transcript-emptied"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Rows with a text before the rules and none after."""
        import numpy as np
        import pyarrow.compute as pc

        from voxcli.doctor.data.rows import named, of, quoted

        if not context.data.transcripts or context.data.filter.min_characters == 0:
            return
        for split in SPLITS:
            table = context.data.listed(split)
            gone = pc.equal(pc.utf8_length(table.texts.array), 0)
            empty = np.asarray(pc.fill_null(gone, False).to_numpy(), dtype=np.bool_)
            if not empty.any():
                continue
            rows = np.flatnonzero(empty)
            before = table.select(rows).originals.array.to_pylist()
            rows = rows[[bool((text or "").strip()) for text in before]]
            if not len(rows) or len(rows) == len(table):
                continue
            example = table.originals[int(rows[0])]
            yield Finding(
                "warning",
                f"[text] leaves nothing of {of(len(rows), len(table))} of the {split} split: {quoted(example)} becomes "
                "an empty text",
                "change the rule that deletes what is spoken, or leave the utterances out",
                path=("text",),
                utterances=named(table, rows),
                fix=Fix(leave_out=context.data.leave_out(split, table, rows)),
            )
