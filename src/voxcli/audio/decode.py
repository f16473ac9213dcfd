"""A file, its bytes or a callable -> float32 mono at the wanted rate; a file -> its header.

libsndfile reads first (http://libsndfile.github.io/libsndfile/formats.html), PyAV what libsndfile does not know. The
content decides, not the name. What cannot be read whole is an error that names the file: half an utterance with its
whole transcript teaches a model something false.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from voxcli.api import Utterance
from voxcli.audio import sndfile
from voxcli.audio.formats import impostor
from voxcli.audio.resample import mono, resample
from voxcli.audio.sndfile import Header as Header
from voxcli.errors import DataError

PROBE = 64  # bytes that tell audio from what a failed download leaves behind
MOST_CHANNELS = 64  # more, and the array has its axes the other way round

Source = Path | str | bytes | Callable[[], tuple[np.ndarray, int]]
"""Where audio comes from: a file, its bytes, or a callable that returns (N,) or (N, channels) and the rate in Hz."""


def read(
    source: Source,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    sampling_rate: int = 16000,
    name: str | None = None,
) -> np.ndarray:
    """Audio from `offset` s on, `duration` s long or to the end -> float32 (N,), the mean of its channels.

    Offsets seek: a short stretch of a long file costs what a short file costs. `name` is what errors call the source;
    None means the file's path. Raises `DataError` for what is missing, empty, cut short, damaged, of an unknown format,
    not finite, or shorter than the stretch asked for.
    """
    name = name or _name(source)
    samples, rate = decode(source, offset=offset, duration=duration, name=name)
    audio = mono(samples)
    if not np.isfinite(audio).all():
        at = int(np.flatnonzero(~np.isfinite(audio))[0]) / rate
        raise DataError(
            f"{name} holds samples that are not numbers (NaN or infinite), the first {offset + at:.3f} s in",
            help="export it again, or take it out",
        )
    return resample(audio, rate, sampling_rate)


def read_utterance(utterance: Utterance, sampling_rate: int, *, name: str | None = None) -> np.ndarray:
    """The audio of one utterance, (N,), as `read` gives it. Raises `DataError`."""
    return read(
        utterance.audio,
        offset=utterance.offset,
        duration=utterance.duration,
        sampling_rate=sampling_rate,
        name=name,
    )


def decode(
    source: Source, *, offset: float = 0.0, duration: float | None = None, name: str | None = None
) -> tuple[np.ndarray, int]:
    """The samples as stored, (N, channels) or (N,), and their rate in Hz. Raises `DataError` as `read` does."""
    name = name or _name(source)
    if callable(source):
        samples, rate = source()
        return sndfile.cut(_checked(samples, name), rate, name, offset=offset, duration=duration), rate
    found = _found(source, name)
    try:
        return sndfile.read_samples(found, name, offset=offset, duration=duration)
    except sndfile.NotForLibsndfile:
        from voxcli.audio import containers

        return containers.read_samples(found, name, offset=offset, duration=duration)
    except OSError as error:
        raise _unreadable(name, error) from error


def header(source: Path | str | bytes, *, name: str | None = None) -> Header:
    """Duration (s), sampling rate (Hz) and channels, without decoding. Raises `DataError` as `read` does."""
    name = name or _name(source)
    found = _found(source, name)
    try:
        return sndfile.read_header(found, name)
    except sndfile.NotForLibsndfile:
        from voxcli.audio import containers

        return containers.read_header(found, name)
    except OSError as error:
        raise _unreadable(name, error) from error


def check(path: str | Path) -> os.stat_result:
    """The status of a file that can hold audio. Raises `DataError` where it is missing, empty or not a file."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path} does not exist", help="correct the path, or take the row out") from None
    except OSError as error:
        raise _unreadable(str(path), error) from error
    except ValueError as error:  # a null byte
        raise DataError(f"{str(path)!r} is no path: {error}", help="correct the path, or take the row out") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
        raise DataError(f"{path} is {what}, not an audio file", help="name the file itself")
    if status.st_size == 0:
        raise _empty(str(path))
    return status


def _found(source: Path | str | bytes, name: str) -> Path | bytes:
    """A source that is there and may hold audio."""
    if isinstance(source, bytes):
        if not source:
            raise _empty(name)
        head = source[:PROBE]
    else:
        source = Path(source)
        check(source)
        try:
            with source.open("rb") as file:
                head = file.read(PROBE)
        except OSError as error:
            raise _unreadable(name, error) from error
    if found := impostor(head):
        what, repair = found
        raise DataError(f"{name} is {what}", help=repair)
    return source


def _checked(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS):
        raise DataError(
            f"{name} returned samples of shape {samples.shape}, expected (N,) or (N, channels)",
            help="transpose them in the plugin that provides this data set",
        )
    return samples


def _empty(name: str) -> DataError:
    return DataError(f"{name} is empty (0 bytes)", help="copy or download it again, or take it out")


def _unreadable(name: str, error: OSError) -> DataError:
    return DataError(f"{name} cannot be read: {error.strerror or error}", help="check its permissions and its disk")


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return f"audio of {len(source)} bytes"
    return repr(source) if callable(source) else os.fspath(source)
