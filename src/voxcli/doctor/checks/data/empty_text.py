"""D008: utterances whose data set holds no transcript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class NoTranscript:
    """Utterances without a transcript stand among those that have one.

    Why: there is nothing to learn from them, and a score against nothing counts every word as wrong. `vox train` leaves
    them out; a data set that has them often has rows that slipped by one column or a transcript file that was cut off.

    Repair: look at the rows; where the text really is missing, leave them out with `[filter] exclude`.

    Sources: the reference scripts train on such rows without a word (transformers examples,
    run_speech_recognition_ctc.py); an empty label is a target of blanks only (torch.nn.CTCLoss, target lengths).
    """

    code: ClassVar[str] = "D008"
    name: ClassVar[str] = "transcript-missing"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Rows whose text is null or white space before any rule."""
        import numpy as np
        import pyarrow.compute as pc

        from voxcli.doctor.data.rows import named, of

        if not context.data.transcripts:
            return
        silent = context.data.filter.min_characters == 0  # then an empty text means that nobody speaks
        for split in SPLITS:
            table = context.data.listed(split)
            texts = table.originals.array
            bare = pc.is_null(texts) if silent else pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
            empty = np.asarray(pc.fill_null(bare, True).to_numpy(), dtype=np.bool_)
            if not empty.any() or empty.all():  # all: that nothing is left is said elsewhere
                continue
            yield Finding(
                "warning",
                f"{of(int(empty.sum()), len(table))} of the {split} split have no transcript",
                "complete the transcripts, or leave the rows out",
                utterances=named(table, empty),
                fix=Fix(leave_out=context.data.leave_out(split, table, empty)),
            )
