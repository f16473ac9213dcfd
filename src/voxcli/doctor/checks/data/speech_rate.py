"""D013: transcripts that are too long or too short for their recordings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import LONG_PAUSE, OVER_LIMIT, RATE_LETTERS, UNDER_LIMIT
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class SpeechRateOutlier:
    """Transcripts hold far more, or far less, than can be said in the time of their recording.

    Why: the text is of another recording, the recording was cut, or the transcript holds notes that nobody speaks. A
    model that has to learn such pairs learns to make words up or to leave them out; exchanged texts are found this way
    where the durations differ.

    Repair: listen to the utterances; correct the texts or leave them out. `[filter] max_characters_per_second` leaves
    out what is too long for its recording from now on.

    Sources: rates of speech across languages, Pellegrino et al., Language 87:3 (2011); the median absolute deviation as
    the measure that outliers do not move, Leys et al. 2013. The thresholds were measured, see RATE_RATIO.
    """

    code: ClassVar[str] = "D013"
    name: ClassVar[str] = "speech-rate-outlier"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Two limits that hold for everybody, and what the data set's own other utterances let expect."""
        import numpy as np

        from voxcli.doctor.data.languages import groups
        from voxcli.doctor.data.rows import named
        from voxcli.doctor.data.speech_rate import letters_of, unexpected

        data = context.data
        if not data.transcripts:
            return
        parts = [(split, data.used(split), letters_of(data.characters(split))) for split in data.filled]
        odd: dict[str, Any] = {split: np.zeros(len(table), dtype=np.int8) for split, table, _ in parts}
        spoken: dict[str | None, list[tuple[str, Any, Any, Any]]] = {}
        for split, table, letters in parts:
            for language, rows in groups(table, None):
                group = (split, rows, letters[rows], table.durations[rows].astype(np.float64))
                spoken.setdefault(language, []).append(group)
        for spoken_so in spoken.values():
            found = unexpected(*(np.concatenate([one[place] for one in spoken_so]) for place in (2, 3)))
            ends = np.cumsum([len(rows) for _, rows, _, _ in spoken_so])
            for (name, rows, _, _), part in zip(spoken_so, np.split(found, ends[:-1]), strict=True):
                odd[name][rows] = part
        for split, table, letters in parts:
            durations = table.durations.astype(np.float64)
            fast = (odd[split] < 0) | ((letters >= RATE_LETTERS) & (letters > OVER_LIMIT * durations))
            slow = (odd[split] > 0) | ((letters > 0) & (durations > LONG_PAUSE) & (letters < UNDER_LIMIT * durations))
            for hit, words in ((fast, "far more text than can be said in"), (slow, "far less text than is usual for")):
                if hit.any():
                    fix = Fix(leave_out=data.leave_out(split, table, hit)) if hit.mean() < 0.5 else None
                    yield self._finding(split, table, hit, words, named(table, hit), fix)

    def _finding(self, split: str, table: Any, hit: Any, words: str, ids: tuple[str, ...], fix: Fix | None) -> Finding:
        from voxcli.doctor.data.rows import of, quoted

        row = int(hit.argmax())
        duration = float(table.durations[row])
        units = "; are the durations in milliseconds?" if fix is None and duration > LONG_PAUSE else ""
        return Finding(
            "warning",
            f"{of(int(hit.sum()), len(table))} of the {split} split hold {words} their recordings: "
            f"{quoted(table.texts[row])} in {duration:.2f} s{units}",
            "listen to them; correct the texts, or leave the utterances out",
            utterances=ids,
            fix=fix,
        )
