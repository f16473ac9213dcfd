"""D072: little to train on, nothing to choose by, shares that came out poor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import FEW_UTTERANCES, LITTLE_AUDIO
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LittleTrainingData:
    """There is little to train on.

    Why: from a few minutes even a large pre-trained model learns a voice rather than a language, and a run of many
    epochs knows them by heart.

    Repair: more data; few steps, an adapter, augmentation and early stopping where there is no more.

    Sources: wav2vec 2.0 needs ten minutes at least (arXiv 2006.11477, section 4.1); spaCy's `debug data`.
    """

    code: ClassVar[str] = "D072"
    name: ClassVar[str] = "little-training-data"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Utterances and seconds of the training split."""
        from voxcli.data.corpus import clock
        from voxcli.doctor.data.rows import counted

        table = context.data.used("train")
        if len(table) < FEW_UTTERANCES or table.duration < LITTLE_AUDIO:
            yield Finding(
                "note",
                f"the train split has {counted(len(table))}, {clock(table.duration)}",
                "add data where there is some; an adapter, augmentation and early stopping where there is not",
            )
