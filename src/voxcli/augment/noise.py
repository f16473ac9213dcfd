"""Background noise from a folder, mixed at a drawn signal-to-noise ratio.

The ratio is that of the mean power of the clip to the mean power of the noise under it. What is played is a random
stretch of a random file, read by seeking; a file shorter than the clip is repeated from a random point.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".mp4", ".webm"})
_TRIES = 8  # files drawn before the clip stays clean: some are silent, some cannot be read
_SILENCE = 1e-10  # mean power below which a stretch counts as silent: -100 dB


@config
class Noise:
    """Adds background noise. Hard ratios (below 5 dB) help noisy test sets and cost a little on clean ones."""

    root: Path
    """Folder of noise files (MUSAN's `noise`, DEMAND, recordings of your own); searched with its sub-folders."""
    p: float = 0.5
    """Share of the training utterances that get noise."""
    snr_db: tuple[float, float] = (5.0, 20.0)
    """Range of the ratio in dB, drawn uniformly. Lower is noisier."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,). A silent clip stays as it is. Raises `DataError` where the folder has nothing to play."""
        import numpy as np

        power = _power(audio)
        if power < _SILENCE:
            return audio
        low, high = sorted(self.snr_db)
        ratio = 10.0 ** (rng.uniform(low, high) / 10.0)
        noise = _stretch(self.root, len(audio), sampling_rate, rng)
        if noise is None:
            return audio
        mixed = audio + noise * np.float32(np.sqrt(power / (ratio * _power(noise))))
        peak = float(np.abs(mixed).max())
        if peak > 1.0:  # scaled, not clipped: the ratio stays
            mixed /= peak
        return mixed.astype(np.float32)

    def longest(self, duration: float) -> float:
        """Noise lengthens nothing."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A folder that is not there or holds no audio; a share that is none."""
        if not 0.0 <= self.p <= 1.0:
            yield Finding("error", f"p = {self.p:g} is no share", "between 0 (never) and 1 (always)", path=("p",))
        try:
            files_in(self.root)
        except DataError as error:
            yield Finding("error", error.message, error.help, path=("root",))


def files_in(root: Path) -> tuple[Path, ...]:
    """The audio files under a folder, sorted by name. Raises `DataError` where there is none."""
    return _files(Path(root).expanduser())


@lru_cache(maxsize=32)
def _files(root: Path) -> tuple[Path, ...]:
    if not root.is_dir():
        raise DataError(f"the noise folder {root} does not exist", help="give a folder of audio files as root")
    # names below the root decide the order: it must not change when the folder moves
    found = sorted(
        (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()),
        key=lambda path: path.relative_to(root).as_posix(),
    )
    if not found:
        raise DataError(
            f"the noise folder {root} holds no audio files", help=f"looked for {', '.join(sorted(SUFFIXES))}"
        )
    return tuple(found)


@lru_cache(maxsize=65536)
def _duration(path: Path) -> float | None:
    """s, or None for a file that cannot be read; said once."""
    from voxcli.audio.decode import header

    try:
        return float(header(path).duration)
    except DataError as error:
        log.warning("noise file left out: %s", error.message)
        return None


def _stretch(root: Path, length: int, sampling_rate: int, rng: np.random.Generator) -> np.ndarray | None:
    """Noise of `length` samples that is not silent, (length,); None where eight files gave none."""
    from voxcli.audio.decode import read

    files = files_in(root)
    failed: str | None = None
    for _ in range(_TRIES):
        path = files[int(rng.integers(len(files)))]
        place = float(rng.random())  # drawn even where it is not used: what follows must not depend on the file
        duration = _duration(path)
        if not duration:
            failed = f"{path} cannot be read"
            continue
        spare = duration - length / sampling_rate
        try:
            if spare > 0:
                noise = read(path, offset=place * spare, duration=length / sampling_rate, sampling_rate=sampling_rate)
            else:
                noise = read(path, sampling_rate=sampling_rate)
        except DataError as error:
            failed = error.message
            continue
        if len(noise):
            noise = _fitted(noise, length, place)
            if _power(noise) >= _SILENCE:
                return noise
    if failed is not None and not any(_duration(path) for path in files):
        raise DataError(f"no file of the noise folder {root} can be read: {failed}", help="check the folder")
    return None


def _fitted(noise: np.ndarray, length: int, place: float) -> np.ndarray:
    """(M,) -> (length,): cut, or repeated from a point `place` (0 to 1) of the way through."""
    import numpy as np

    if len(noise) >= length:
        return noise[:length]
    begin = int(place * len(noise))
    return np.resize(np.roll(noise, -begin), length)


def _power(audio: np.ndarray) -> float:
    """Mean square."""
    import numpy as np

    return float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
