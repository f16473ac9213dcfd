"""Samples -> a file of sound, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def write(out: Path, audio: np.ndarray, sampling_rate: int) -> None:
    """Samples (N,) into a .wav, .flac or .ogg, beside it first. Raises `DataError` where it cannot be written.

    In blocks of a second: libsndfile 1.2.2 puts an .ogg of minutes on the stack, which ends the process.
    """
    import soundfile

    beside = out.with_name(f".{out.name}.partial")
    try:
        try:
            beside.touch()  # its error says why, libsndfile's does not
            keys = {"samplerate": sampling_rate, "channels": 1, "format": out.suffix[1:].upper()}
            with soundfile.SoundFile(beside, "w", **keys) as file:
                for start in range(0, len(audio), sampling_rate):
                    file.write(audio[start : start + sampling_rate])
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # soundfile's are RuntimeErrors
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{out} cannot be written: {reason}", help="give an --out in a folder with room") from error
