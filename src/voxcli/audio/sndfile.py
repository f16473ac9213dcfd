"""What libsndfile reads (wav, flac, ogg, opus, mp3, aiff …) -> header and samples, with what it lets pass checked.

libsndfile takes a truncated WAV or Ogg file for a short one, and a truncated MP3 file for a whole one whose end is
missing; here each is a `DataError`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from voxcli.audio import mpeg
from voxcli.audio.truncated import truncated
from voxcli.errors import DataError

END_SLACK = 0.1  # s that may be missing at the end: a padded last frame, a duration that somebody rounded
PREROLL = 0.25  # s decoded and thrown away before an offset in MP3: a frame borrows bits from those before it
UNKNOWN_FRAMES = 2**62  # from here on a number of frames means "not known" (FLAC written into a pipe)
BLOCK = 1 << 20  # frames read at once where their number is not known

FORMAT_UNKNOWN = (1, 4)  # SF_ERR_UNRECOGNISED_FORMAT, SF_ERR_UNSUPPORTED_ENCODING


class NotForLibsndfile(Exception):
    """The content is of a format that libsndfile does not know."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself."""

    duration: float
    """s"""
    sampling_rate: int
    channels: int


def read_header(source: Path | bytes, name: str) -> Header:
    """The header of a file or of its bytes. Raises `DataError` and `NotForLibsndfile`."""
    with _opened(source, name) as file:
        frames = _frames(file)
        if frames is None:
            frames = sum(len(block) for block in _blocks(file))
        _check_end(source, file.format, name)
        if frames == 0:
            raise no_audio(name)
        return Header(frames / file.samplerate, file.samplerate, file.channels)


def read_samples(source: Path | bytes, name: str, *, offset: float, duration: float | None) -> tuple[np.ndarray, int]:
    """float32 (N, channels) from `offset` s on, `duration` s long or to the end; and the rate in Hz.

    Seeks, so that a short stretch of a long file costs what a short file costs. Raises `DataError` and
    `NotForLibsndfile`.
    """
    with _opened(source, name) as file:
        rate, total = file.samplerate, _frames(file)
        if total is None:
            whole = list(_blocks(file))
            samples = np.concatenate(whole) if whole else np.zeros((0, file.channels), np.float32)
            return cut(samples, rate, name, offset=offset, duration=duration), rate
        begin, end = span(total, rate, name, offset=offset, duration=duration)
        if end == total:
            _check_end(source, file.format, name)
        early = min(begin, round(PREROLL * rate)) if file.format == "MP3" else 0
        if begin - early > 0:
            file.seek(begin - early)
        samples = file.read(early + end - begin, dtype="float32", always_2d=True)[early:]
        if end - begin - len(samples) > END_SLACK * rate or len(samples) == 0:
            raise cut_short(name, (begin + len(samples)) / rate, total / rate)
        return samples, rate


def span(total: int, rate: int, name: str, *, offset: float, duration: float | None) -> tuple[int, int]:
    """First and last sample (exclusive) of a stretch of audio that has `total`. Raises `DataError` where it has not."""
    if total == 0:
        raise no_audio(name)
    begin = round(offset * rate)
    if begin >= total or begin < 0:
        raise DataError(
            f"{name} is {total / rate:.2f} s long, and the utterance begins at {offset:.2f} s",
            help="correct the offset, or check that the row names the right file",
        )
    if duration is None:
        return begin, total
    end = round((offset + duration) * rate)
    if end <= begin:
        raise DataError(f"{name}: an utterance of {duration:g} s holds no audio", help="correct its duration")
    if end - total > max(END_SLACK, 0.01 * duration) * rate:
        raise DataError(
            f"{name} is {total / rate:.2f} s long, and the utterance ends at {offset + duration:.2f} s",
            help="the file is cut short, or the duration given for it is wrong",
        )
    return begin, min(end, total)


def cut(samples: np.ndarray, rate: int, name: str, *, offset: float, duration: float | None) -> np.ndarray:
    """A stretch of samples that are all there. Raises `DataError` where the stretch lies outside."""
    begin, end = span(len(samples), rate, name, offset=offset, duration=duration)
    return samples[begin:end]


def no_audio(name: str) -> DataError:
    """A header, and nothing behind it."""
    return DataError(f"{name} holds no audio, only a header", help="record or download it again, or take it out")


def cut_short(name: str, there: float, expected: float) -> DataError:
    """An end that is missing; durations in s."""
    return DataError(
        f"{name} is cut short or damaged: {there:.2f} s of {expected:.2f} s can be read",
        help="copy or download it again, or take it out",
    )


def damaged(name: str, reason: object) -> DataError:
    """What the decoder could not make sense of."""
    return DataError(f"{name} is damaged: {reason}", help="copy or download it again, or take it out")


class _Forward(soundfile.SoundFile):
    """Read from the beginning to the end: soundfile seeks after each read, which fails where the length is unknown."""

    def seekable(self) -> bool:
        return False


@contextlib.contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[soundfile.SoundFile]:
    def content() -> io.BytesIO | str:
        return io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)

    try:
        file = soundfile.SoundFile(content())
        if _frames(file) is None:
            file.close()
            file = _Forward(content())
    except soundfile.LibsndfileError as error:
        if error.code in FORMAT_UNKNOWN:
            raise NotForLibsndfile from error
        raise damaged(name, _reason(error)) from error
    try:
        if file.format == "MP3" and (mended := _mended(source)) is not None:
            file.close()
            file = soundfile.SoundFile(io.BytesIO(mended))
        with file:
            yield file
    except soundfile.LibsndfileError as error:
        raise damaged(name, _reason(error)) from error


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).strip().rstrip(".").removeprefix("Error : ")


def _frames(file: soundfile.SoundFile) -> int | None:
    """How many there are; None where the header does not say, and all has to be read."""
    frames = int(file.frames)
    return None if frames >= UNKNOWN_FRAMES or (frames == 0 and file.format == "FLAC") else frames


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        yield block


def _check_end(source: Path | bytes, format: str, name: str) -> None:
    if format not in ("WAV", "WAVEX", "AIFF", "OGG"):
        return
    with _bytes_of(source) as file:
        if truncated(file, format):
            raise DataError(
                f"{name} is cut short: its end is missing", help="copy or download it again, or take it out"
            )


def _bytes_of(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _mended(source: Path | bytes) -> bytes | None:
    """An MP3 file with the length that its header lacks; None where it lacks none."""
    if isinstance(source, bytes):
        start = mpeg.tag_length(source[:10])
        return None if mpeg.has_length(source[start : start + 2048]) else mpeg.with_length(source)
    status = source.stat()
    if _tells_length(source, status.st_size, status.st_mtime_ns):
        return None
    return mpeg.with_length(source.read_bytes())


@functools.lru_cache(maxsize=4096)
def _tells_length(path: Path, size: int, modified: int) -> bool:
    """Whether an MP3 file can be read as it is. Remembered, because finding out may need the whole file."""
    with path.open("rb") as file:
        file.seek(mpeg.tag_length(file.read(10)))
        return mpeg.has_length(file.read(2048)) or mpeg.with_length(path.read_bytes()) is None
