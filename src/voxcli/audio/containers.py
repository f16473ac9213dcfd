"""What FFmpeg's libraries read beyond libsndfile (m4a, mp4, webm, aac …) -> header and samples, through PyAV.

PyAV (https://pyav.basswood-io.com) is the extra `containers`; the ffmpeg program is not needed. Time zero is the first
sample of the first audio stream.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.audio.formats import kind
from voxcli.audio.sndfile import Header, cut, cut_short, damaged, no_audio, span
from voxcli.errors import DataError

PREROLL = (
    0.5  # s decoded and thrown away before an offset: codecs need what came before to settle (Opus 0.08, AAC 0.05)
)
END_SLACK = 0.25  # s: container times are rounded, and the last packet is padded
PROBE = 64  # bytes that name the kind of file


def read_header(source: Path | bytes, name: str) -> Header:
    """The header of a file or of its bytes; the packets are counted where a container does not tell its length.

    Raises `DataError`, also where PyAV is not installed.
    """
    with _opened(source, name) as (container, stream):
        duration = _duration(container, stream) or _counted(container, stream)
        if duration <= 0:
            raise no_audio(name)
        return Header(duration, stream.rate, stream.channels)


def read_samples(source: Path | bytes, name: str, *, offset: float, duration: float | None) -> tuple[np.ndarray, int]:
    """float32 (N, channels) from `offset` s on, `duration` s long or to the end; and the rate in Hz.

    Seeks to a packet before the offset and trims to the sample. Raises `DataError`.
    """
    with _opened(source, name) as (container, stream):
        rate, expected = stream.rate, _duration(container, stream)
        if offset > 0 and expected is not None:
            span(math.ceil(expected * rate), rate, name, offset=offset, duration=duration)
            if (found := _after_seek(container, stream, offset, duration)) is not None:
                return found, rate
            container.seek(0)
        stop = math.inf if duration is None else offset + duration + END_SLACK
        pieces, length = [], 0
        for frame in container.decode(stream):
            piece = _samples(frame)
            pieces.append(piece)
            length += len(piece)
            if length > stop * rate:
                break
        if stop == math.inf and expected is not None and expected - length / rate > END_SLACK:
            raise cut_short(name, length / rate, expected)
        if not pieces:
            raise no_audio(name)
        return cut(np.concatenate(pieces), rate, name, offset=offset, duration=duration), rate


def _after_seek(container: Any, stream: Any, offset: float, duration: float | None) -> np.ndarray | None:
    """The stretch from `offset` on, decoded from shortly before it; None where the times of the frames do not serve."""
    rate, zero = stream.rate, (stream.start_time or 0) * stream.time_base
    if offset <= PREROLL:
        return None
    start, size = _grid(container, stream) if stream.time_base * rate > 1 else (0, 1)
    container.seek(int((zero + offset - PREROLL) / stream.time_base), stream=stream, backward=True)
    begin = round(offset * rate)
    wanted = None if duration is None else round((offset + duration) * rate) - begin
    pieces, first, length = [], None, 0
    for frame in container.decode(stream):
        if first is None:
            if frame.pts is None:
                return None
            first = start + round(((frame.pts * frame.time_base - zero) * rate - start) / size) * size
            if first > begin:
                return None
        piece = _samples(frame)
        pieces.append(piece)
        length += len(piece)
        if wanted is not None and first + length >= begin + wanted:
            break
    if first is None or first + length <= begin:
        return None
    if wanted is not None and begin + wanted - first - length > END_SLACK * rate:
        return None
    return np.concatenate(pieces)[begin - first :][:wanted]


def _grid(container: Any, stream: Any) -> tuple[int, int]:
    """Samples in the first frame and in the next: where frames begin, for containers that round their times.

    WebM counts in ms, and a frame of 20 ms begins somewhere within one; counting frames places it to the sample.
    """
    sizes = [frame.samples for frame, _ in zip(container.decode(stream), range(2), strict=False)]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else (0, 1)


@contextlib.contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[tuple[Any, Any]]:
    """The container and its first audio stream."""
    try:
        import av
    except ImportError as error:
        raise _without_pyav(source, name) from error
    try:
        if isinstance(source, bytes):
            container = av.open(io.BytesIO(source))
        else:  # never a playlist that leads elsewhere: local files only
            container = av.open(f"file:{os.fspath(source)}", container_options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError) as error:
        what = kind(_head(source))
        if what is None:
            raise DataError(f"{name} is not audio that libsndfile or FFmpeg know", help="take it out") from error
        raise damaged(name, f"{what} that cannot be opened ({_reason(error)})") from error
    with container:
        if not container.streams.audio:
            raise DataError(f"{name} has no audio stream", help="take it out")
        try:
            yield container, container.streams.audio[0]
        except av.FFmpegError as error:
            raise damaged(name, _reason(error)) from error


def _without_pyav(source: Path | bytes, name: str) -> DataError:
    what = kind(_head(source))
    if what is None:
        return DataError(
            f"{name} is not audio that libsndfile knows",
            help="`pip install 'voxcli[containers]'` reads more formats; else take it out",
        )
    return DataError(
        f"{name} is {what}, and PyAV, which reads those, is not installed",
        help="`pip install 'voxcli[containers]'`, or convert it to FLAC",
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:PROBE]
    with source.open("rb") as file:
        return file.read(PROBE)


def _duration(container: Any, stream: Any) -> float | None:
    """s, where the stream says so, or the container if it holds nothing else."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        start = (container.start_time or 0) / 1_000_000
        return float(container.duration / 1_000_000 - start)
    return None


def _counted(container: Any, stream: Any) -> float:
    """s from the first packet's beginning to the last one's end."""
    begin, end = None, 0
    for packet in container.demux(stream):
        if packet.pts is not None:
            begin = packet.pts if begin is None else min(begin, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    return 0.0 if begin is None else float((end - begin) * stream.time_base)


def _samples(frame: Any) -> np.ndarray:
    """A decoded frame -> float32 (N, channels)."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, len(frame.layout.channels))
    if values.dtype.kind == "u":
        return (values.astype(np.float32) - 128.0) / 128.0
    if values.dtype.kind == "i":
        return values.astype(np.float32) / float(2 ** (8 * values.dtype.itemsize - 1))
    return values.astype(np.float32)
