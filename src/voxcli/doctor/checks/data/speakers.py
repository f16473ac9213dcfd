"""D051: one speaker with most of the seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import MOST_SECONDS, SPEAKERS_FROM
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class OneSpeakerHoldsMost:
    """One of several speakers holds most of the seconds of the training split.

    Why: the model becomes a model of that voice. Data of one speaker alone may be meant so; several speakers of which
    one speaks most of the time rarely are.

    Repair: more of the others, or fewer utterances of the one.

    Sources: LibriSpeech takes at most 25 to 30 minutes of one speaker (Panayotov et al., ICASSP 2015).
    """

    code: ClassVar[str] = "D051"
    name: ClassVar[str] = "one-speaker-holds-most"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Seconds by speaker, where the data name them."""
        import numpy as np
        import pyarrow.compute as pc

        table = context.data.used("train")
        encoded = pc.dictionary_encode(table.column("speaker").array).combine_chunks()
        numbers = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        if len(encoded.dictionary) < SPEAKERS_FROM:
            return
        known = numbers >= 0
        seconds = np.bincount(numbers[known], weights=table.durations[known].astype(np.float64))
        share, most = float(seconds.max() / max(seconds.sum(), 1e-9)), int(seconds.argmax())
        if share > MOST_SECONDS:
            yield Finding(
                "note",
                f"the speaker '{encoded.dictionary[most].as_py()}' holds {share:.0%} of the training audio, "
                f"of {len(seconds)} speakers",
                "add audio of the others, or leave some of this speaker's utterances out",
            )
