"""A file of a prompt -> its length and its samples. Asterisk's files have no header, but for wav."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

Codec = Literal["g722", "gsm", "wav", "ulaw", "alaw"]

# bytes, samples they stand for, Hz: G.722 has 64 kbit/s, a frame of GSM 06.10 33 bytes for 20 ms, G.711 a byte a sample
_CODED: dict[str, tuple[int, int, int]] = {
    "g722": (1, 2, 16000),
    "gsm": (33, 160, 8000),
    "ulaw": (1, 1, 8000),
    "alaw": (1, 1, 8000),
}
_SNDFILE = {"gsm": "GSM610", "ulaw": "ULAW", "alaw": "ALAW"}


@dataclass(frozen=True)
class Coded:
    """Reads one file when it is called: what an `Utterance` holds as its audio."""

    path: Path
    codec: str

    def __call__(self) -> tuple[np.ndarray, int]:
        """Samples (N,) float32 in [-1, 1] and their rate, Hz. Raises `DataError`."""
        try:
            return _g722(self.path) if self.codec == "g722" else _sndfile(self.path, self.codec)
        except (
            OSError,
            RuntimeError,
            ValueError,
        ) as error:  # soundfile's errors are RuntimeErrors, av's are the others
            raise DataError(f"{self.path} cannot be read: {error}", help="download the package again") from error

    def duration(self) -> float:
        """s, from the size of the file."""
        return duration(self.path, self.codec)


def duration(path: Path, codec: str) -> float:
    """Length of a file, s, without decoding it. Raises `DataError`."""
    try:
        if codec == "wav":
            with wave.open(str(path), "rb") as file:
                if not (rate := file.getframerate()):
                    raise wave.Error("its header has a sampling rate of 0")
                return file.getnframes() / rate
        size, samples, rate = _CODED[codec]
        return path.stat().st_size // size * samples / rate
    except (OSError, EOFError, wave.Error) as error:
        raise DataError(f"{path} cannot be read: {error}", help="download the package again") from error


def _g722(path: Path) -> tuple[np.ndarray, int]:
    import av
    import numpy as np

    rate = _CODED["g722"][2]
    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
    return (samples / 32768.0).astype(np.float32), rate


def _sndfile(path: Path, codec: str) -> tuple[np.ndarray, int]:
    import soundfile

    raw = {"format": "RAW", "subtype": _SNDFILE[codec], "samplerate": _CODED[codec][2], "channels": 1}
    samples, rate = soundfile.read(path, dtype="float32", **raw)
    return samples, rate
