"""D076: recordings that were cut at a window while their whole text stays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import CUT_RATIO, USUAL_WINDOW
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioCutAtWindow:
    """Recordings end exactly at the window of a model, with more text than the others have in that time.

    Why: somebody cut the audio at 30 s and kept the transcript. The model learns to write what it does not hear.

    Repair: the recordings as they were before, cut where nobody speaks, each piece with its own text; or leave them
    out.

    Sources: WhisperFeatureExtractor of transformers, truncation=True; openai/whisper, pad_or_trim. CUT_RATIO
    says how much text is too much.
    """

    code: ClassVar[str] = "D076"
    name: ClassVar[str] = "audio-cut-at-window"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Clips of exactly the window's length against what the others let expect."""
        import numpy as np

        from voxcli.doctor.context import Unavailable
        from voxcli.doctor.data.rows import named, of
        from voxcli.doctor.data.speech_rate import lengths_expected, letters_of

        data = context.data
        if not data.transcripts:
            return
        try:
            window = context.limits.max_duration
        except Unavailable:
            window = math.inf
        window = USUAL_WINDOW if math.isinf(window) else window
        for split in data.filled:
            table = data.used(split)
            durations = table.durations.astype(np.float64)
            at_window = np.abs(durations - window) < 0.01
            if not at_window.any():
                continue
            letters = letters_of(data.characters(split))
            expected = lengths_expected(letters, durations, without=at_window)
            if expected is None:
                continue
            cut = at_window & (expected > CUT_RATIO * window)
            if cut.any():
                row = int(cut.argmax())
                yield Finding(
                    "warning",
                    f"{of(int(cut.sum()), len(table))} of the {split} split end exactly at {window:g} s, and hold text "
                    f"for more: {int(letters[row]):,} letters, for which others take {expected[row]:.0f} s",
                    "take the whole recordings and cut them where nobody speaks, or leave them out",
                    utterances=named(table, cut),
                    fix=Fix(leave_out=data.leave_out(split, table, cut)),
                )
