"""A013: recordings cut at a round duration while their texts stayed whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioCut:
    """Recordings were cut at the same round duration, in the middle of speech, and their texts were not.

    Why: scripts cut audio at the model's window of 30 s and leave the transcript whole. The model learns to write what
    it did not hear: the usual origin of texts that are made up at the end of a recording.

    Repair: cut both, where nobody speaks; or leave the utterances out.

    Sources: huggingface community-events issue 57 (audio cut at 30 s while the text is not); CUT_RATE and CUT_LOUD say
    what is compared.
    """

    code: ClassVar[str] = "A013"
    name: ClassVar[str] = "audio-cut-in-speech"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """Durations that pile up, texts that are too long for them, ends that are not quiet."""
        from voxcli.doctor.audio.listening import listen
        from voxcli.doctor.audio.piles import cut
        from voxcli.doctor.data.rows import named, of

        listening = listen(context)
        for duration, parts in cut(listening):
            for split, rows in parts.items():
                table = listening.tables[split]
                yield Finding(
                    "warning",
                    f"{of(len(rows), len(table))} of the {split} split end at {duration:g} s exactly, in the middle of "
                    "speech, with more text a second than the others",
                    "cut the texts as well, or leave them out",
                    utterances=named(table, rows),
                    fix=None if len(rows) == len(table) else Fix(leave_out=context.data.leave_out(split, table, rows)),
                )
