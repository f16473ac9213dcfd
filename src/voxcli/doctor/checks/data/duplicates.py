"""D020: the same stretch of audio more than once in a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class RepeatedAudio:
    """The same stretch of audio stands in a split more than once.

    Why: it counts twice in training and in scores. With two different transcripts one of them is wrong, and the model
    is taught both.

    Repair: keep one row of each; where the texts differ, listen and keep the right one.

    Sources: de-duplication before training, Lee et al. 2022 (arXiv 2107.06499); index notes of `vox train`, which calls
    the second row of an id 'ID#2'.
    """

    code: ClassVar[str] = "D020"
    name: ClassVar[str] = "repeated-audio"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Rows of one file that begin and end at the same place."""
        from voxcli.doctor.data.rows import named, of
        from voxcli.doctor.data.stretches import repeated

        for split in SPLITS:
            table = context.data.listed(split)
            found = repeated(table)
            if found.again.any():
                yield Finding(
                    "warning",
                    f"{of(int(found.again.sum()), len(table))} of the {split} split repeat a stretch of audio and its "
                    "text",
                    "keep one row of each",
                    utterances=named(table, found.again),
                    fix=Fix(leave_out=context.data.leave_out(split, table, found.again)),
                )
            if found.differ.any():
                whole = bool(found.differ.all())
                yield Finding(
                    "warning",
                    f"{of(int(found.differ.sum()), len(table))} of the {split} split are the same stretches of audio "
                    "with different texts",
                    "listen, and keep the row whose text is right",
                    utterances=named(table, found.differ),
                    fix=None if whole else Fix(leave_out=context.data.leave_out(split, table, found.differ)),
                )
