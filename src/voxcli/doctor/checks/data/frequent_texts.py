"""D022: one text that very many utterances have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import CLOSED_TEXTS, FEW_UTTERANCES, FREQUENT_TEXT
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class FrequentText:
    """One text is the transcript of a large share of the utterances, where most others differ.

    Why: a model learns it as the answer to anything it does not understand. Subtitle credits and "Thank you." that
    stand under silence are how Whisper learned to write them.

    Repair: look at a few of them; leave them out where nobody says it.

    Sources: phrases that Whisper makes up, Koenecke et al. 2024 (arXiv 2402.08021).
    """

    code: ClassVar[str] = "D022"
    name: ClassVar[str] = "frequent-text"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """The most frequent text of the training split; lists of commands and digits are passed over."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from voxcli.doctor.data.rows import named, of, quoted

        table = context.data.used("train")
        if len(table) < FEW_UTTERANCES or not context.data.transcripts:
            return
        texts = context.data.characters("train").column
        counts = pc.value_counts(texts)
        if len(counts) <= CLOSED_TEXTS * len(table):
            return
        numbers = counts.field("counts").to_numpy()
        most = int(numbers.argmax())
        if numbers[most] < FREQUENT_TEXT * len(table):
            return
        text = counts.field("values")[most].as_py()
        hit = np.asarray(pc.fill_null(pc.equal(texts, pa.scalar(text)), False).to_numpy(), dtype=np.bool_)
        yield Finding(
            "note",
            f"{of(int(hit.sum()), len(table))} of the train split say {quoted(text)}",
            "look whether they do; leave them out where they do not",
            utterances=named(table, hit),
        )
