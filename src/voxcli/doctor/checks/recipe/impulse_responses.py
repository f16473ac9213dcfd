"""R140: impulse responses that ring longer than the clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_HEADERS = 2000  # files of a folder whose length is looked at, spread over all
_READ = 20  # of these, the longest, which are read to where they fall silent


class ImpulseResponseTooLong:
    """A folder of impulse responses holds files that ring longer than the training clips.

    Why: a room rings for a second or two. A file that is longer than every clip is most likely a recording of speech or
    music, and convolved with it a clip is a blur that its text no longer fits. Where a response is longer than some
    clips only, what would ring after their end is cut, which is exact.

    Repair: take the files out of the folder, point `root` at the folder of responses, or choose by `labels`.

    Sources: voxcli.augment.reverb; ISO 3382-1 for the length of reverberation (60 dB).
    """

    code: ClassVar[str] = "R140"
    name: ClassVar[str] = "impulse-response-too-long"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """The longest responses of each `reverb`, without the silence at their end, against the training clips."""
        import numpy as np

        from voxcli.augment.recordings import files_in
        from voxcli.errors import DataError

        for index, table in enumerate(context.recipe.tables.get("augment", ())):
            if table["type"] != "reverb" or not table.get("root") or table.get("p") == 0:
                continue
            try:
                files = files_in(Path(table["root"]), table.get("labels", ()), what="impulse response")
            except DataError:  # said where the recipe is resolved
                continue
            durations = np.asarray(context.data.kept("train").durations)
            if not len(durations):
                return
            ringing = _longest(files, float(durations.min()))
            cut = int((durations < max(ringing.values(), default=0.0)).sum())
            yield from _judged(ringing, float(durations.min()), float(durations.max()), cut, index)


def _judged(ringing: dict[Path, float], shortest: float, longest: float, cut: int, index: int) -> Iterator[Finding]:
    over = sorted((path for path, seconds in ringing.items() if seconds > longest), key=lambda path: -ringing[path])
    path = ("augment", index, "root")
    if over:
        files = f"the impulse response {over[0].name}" if len(over) == 1 else f"{len(over)} impulse responses"
        verb = "rings" if len(over) == 1 else f"(the longest {over[0].name}) ring"
        yield Finding(
            "error",
            f"{files} {verb} for {ringing[over[0]]:.1f} s, longer than every training clip: the longest has "
            f"{longest:.1f} s",
            "these are recordings rather than rooms: take them out of the folder, or choose others by labels",
            path=path,
        )
    elif cut:
        most = max(ringing.values())
        yield Finding(
            "note",
            f"impulse responses ring for up to {most:.1f} s, and {cut} training clips are shorter (down to "
            f"{shortest:.1f} s): what rings after their end is cut",
            path=path,
        )


def _longest(files: Sequence[Path], shortest: float) -> dict[Path, float]:
    """File -> s that it rings, of the longest files that have more than `shortest` s."""
    from voxcli.audio.decode import read
    from voxcli.audio.reverberation import audible
    from voxcli.augment.recordings import duration_of
    from voxcli.errors import DataError

    some = files[:: max(1, -(-len(files) // _HEADERS))]
    lengths = {path: duration_of(path) or 0.0 for path in some}
    found = {}
    for path in sorted(lengths, key=lambda path: -lengths[path])[:_READ]:
        if lengths[path] > shortest:
            try:
                found[path] = len(audible(read(path, sampling_rate=16000))) / 16000
            except DataError:
                continue
    return {path: seconds for path, seconds in found.items() if seconds > shortest}
