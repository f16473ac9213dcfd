"""D001: labels longer than the decoder takes, in tokens of the real tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_PREFIX = 8
"""Tokens beside the text's own, at most: start, language, task, times or their absence, end."""


class LabelOverLimit:
    """Labels have more tokens than the model's decoder has positions.

    Why: the decoder has an embedding for each position and no more. The reference scripts crash in the middle of a run,
    with an index out of bounds on the device; `vox train` leaves the utterances out and their audio with them.

    Repair: cut the recordings into shorter pieces with their own transcripts, or leave them out.

    Sources: "Labels' sequence length cannot exceed the maximum allowed length of 448 tokens" (transformers pull request
    33196, issue 27445; Whisper-Finetune issue 96).
    """

    code: ClassVar[str] = "D001"
    name: ClassVar[str] = "label-over-limit"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """A tokenizer makes no more tokens of a text than it has bytes; the others are counted."""
        import numpy as np

        from voxcli.doctor.data.rows import named, of

        limit = context.limits.max_label_length
        length = getattr(context.recipe.task, "label_length", None)
        if limit is None or length is None:
            return
        for split in context.data.filled:
            table = context.data.used(split)
            candidates = np.flatnonzero(context.data.characters(split).bytes + _PREFIX > limit)
            if not len(candidates):
                continue
            bundle = context.bundle
            counts = np.asarray([length(utterance, bundle) for utterance in table.select(candidates)])
            rows = candidates[counts > limit]
            if not len(rows):
                continue
            learns = split == "train"
            consequence = "are left out" if learns else "cannot be transcribed whole in one piece"
            yield Finding(
                "warning" if learns else "note",
                f"{of(len(rows), len(table))} of the {split} split have labels over the decoder's {limit} tokens "
                f"(up to {int(counts.max())}) and {consequence}",
                "cut them into shorter utterances, or leave them out",
                utterances=named(table, rows),
                fix=Fix(leave_out=context.data.leave_out(split, table, rows)),
            )
