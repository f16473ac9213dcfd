"""Rooms: the clip convolved with an impulse response, from a folder of measured ones or computed for a drawn room.

The direct sound stays at its place in time and the clip at its length; what would still ring after its end is cut. So
only the part of a response that is as long as the clip is heard, however long the file: nothing is approximated by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws
from voxcli.augment.recordings import TRIES, duration_of, files_in, folder_findings
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_WALL = 0.4  # m that source and microphone keep from walls


@config
class Reverb:
    """Places the speaker in a room. The level stays."""

    root: Path | None = None
    """Folder of impulse responses (OpenSLR 26 and 28, your own); searched with its sub-folders. Not set: rooms are
    computed, and the keys below that describe rooms are read."""
    p: float = 0.5
    """Share of the training utterances that are placed in a room."""
    labels: tuple[str, ...] = ()
    """Only responses in sub-folders of these names, or with these labels in the folder's `manifest.csv`."""
    t60: tuple[float, float] = (0.2, 0.8)
    """Range of the reverberation time of computed rooms, s, drawn uniformly: a living room 0.4, a stairwell 1.5."""
    sides: tuple[float, float] = (3.0, 9.0)
    """Range of length and width of computed rooms, m; they are 2.4 to 4 m high."""
    distance: tuple[float, float] = (0.4, 2.5)
    """Range of the distance from mouth to microphone in computed rooms, m; a small room may shorten it."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,). Raises `DataError` where the folder has no response that can be read."""
        import numpy as np

        from voxcli.audio.level import SILENCE, power, within_full_scale
        from voxcli.audio.spectrum import convolved

        before = power(audio)
        if before < SILENCE:
            return audio
        response = self._room(sampling_rate, rng) if self.root is None else self._measured(sampling_rate, rng)
        if response is None:
            return audio
        heard = convolved(audio, response[: len(audio)])[: len(audio)]
        after = power(heard)
        if after < SILENCE * 1e-6:
            return audio
        return within_full_scale(heard * np.float32(np.sqrt(before / after)))

    def _measured(self, sampling_rate: int, rng: np.random.Generator) -> np.ndarray | None:
        """A response of the folder from its direct sound on, (M,); None where eight files gave none."""
        assert self.root is not None
        files = files_in(self.root, self.labels, what="impulse response")
        failed: DataError | None = None
        for _ in range(TRIES):
            path = files[int(rng.integers(len(files)))]
            try:
                response = _response(path, sampling_rate)
            except DataError as error:
                failed = error
                continue
            if len(response):
                return response
        if failed is not None and not any(duration_of(path) for path in files):
            raise DataError(f"the impulse responses in {self.root} cannot be read: {failed.message}", help=failed.help)
        return None

    def _room(self, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """The response of a drawn room from its direct sound on, (M,)."""
        import numpy as np

        from voxcli.audio.reverberation import Room, direct, response

        size = [draws.between(self.sides, rng) for _ in range(2)] + [draws.between((2.4, 4.0), rng)]
        inside = np.asarray(size) - 2 * _WALL
        source, way = _WALL + inside * rng.random(3), rng.standard_normal(3) * (1.0, 1.0, 0.3)
        away = draws.between(self.distance, rng)
        microphone = np.clip(source + away * way / np.linalg.norm(way), _WALL, np.asarray(size) - _WALL)
        room = Room(np.asarray(size), source, microphone)
        made = response(room, draws.between(self.t60, rng), sampling_rate, rng)
        return made[direct(made) :]

    def longest(self, duration: float) -> float:
        """What rings after the end is cut."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A folder that is not there or holds no audio; rooms that cannot be."""
        yield from bounds.share(self.p)
        if self.root is not None:
            yield from folder_findings(self.root, self.labels, what="impulse response")
            return
        if self.labels:
            yield Finding("error", "labels choose files, and root is not set", "set root", path=("labels",))
        yield from bounds.within("t60", self.t60, 0.05, 10, "0.2 to 0.8 are rooms that people speak in", unit="s")
        yield from bounds.within("sides", self.sides, 1.5, 100, "3 to 9", unit="m")
        yield from bounds.within("distance", self.distance, 0.05, 50, "0.4 to 2.5", unit="m")


@lru_cache(maxsize=256)
def _response(path: Path, sampling_rate: int) -> np.ndarray:
    """A file's audible part, (M,)."""
    from voxcli.audio.decode import read
    from voxcli.audio.reverberation import audible

    return audible(read(path, sampling_rate=sampling_rate))
