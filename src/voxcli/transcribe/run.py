"""Recordings -> transcripts: audio is read ahead of the engine, and short recordings share its batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from voxcli.api import Decoding, Engine, Transcript
from voxcli.audio.decode import read
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress
from voxcli.transcribe.inputs import Source

LOOK_AHEAD = 240.0  # s of audio that are sorted by length together: more fills batches better, and shows texts later
MAX_FILES = 256  # of one look-ahead, however short they are


@dataclass(frozen=True)
class Result:
    """What became of one recording: a transcript, or the reason why there is none."""

    source: Source
    transcript: Transcript | None
    problem: str | None = None
    help: str | None = None


_Window = list[tuple[Source, np.ndarray | DataError]]


def transcribe(
    sources: Iterable[Source],
    engine: Engine,
    *,
    decoding: Decoding,
    look_ahead: float = LOOK_AHEAD,
    progress: Progress = NULL,
) -> Iterator[Result]:
    """Transcribe recordings, in order. One that cannot be read has a result with its problem; the others go on.

    Memory holds at most two look-aheads of audio (16 kHz float32: 64 kB a second), or one recording where it is longer.
    """
    sources = list(sources)
    windows = _windows(sources, engine.sampling_rate, look_ahead)
    with progress.task("transcribing", total=len(sources), unit="files") as bar:
        for window in _ahead(windows):
            clips = [audio for _, audio in window if not isinstance(audio, DataError)]
            texts = iter(engine.transcribe_batch(clips, decoding) if clips else [])
            for source, audio in window:
                if isinstance(audio, DataError):
                    yield Result(source, None, audio.message, audio.help)
                elif (transcript := next(texts)) is not None:
                    yield Result(source, transcript)
                else:
                    yield _too_large(source, len(audio) / engine.sampling_rate)
                bar.advance(1)


def _windows(sources: Iterable[Source], sampling_rate: int, look_ahead: float) -> Iterator[_Window]:
    """Read recordings until a window of `look_ahead` s is full."""
    window: _Window = []
    seconds = 0.0
    for source in sources:
        audio = _read(source, sampling_rate)
        window.append((source, audio))
        seconds += 0.0 if isinstance(audio, DataError) else len(audio) / sampling_rate
        if seconds >= look_ahead or len(window) >= MAX_FILES:
            yield window
            window, seconds = [], 0.0
    if window:
        yield window


def _read(source: Source, sampling_rate: int) -> np.ndarray | DataError:
    if source.audio is None:
        return DataError(f"{source.name}: {source.problem}")
    try:
        return read(source.audio, sampling_rate=sampling_rate, name=source.name)
    except DataError as error:
        return error


def _too_large(source: Source, duration: float) -> Result:
    return Result(
        source,
        None,
        f"{source.name}: {duration:.1f} s of audio do not fit the memory, even alone",
        "fewer --num-beams, a smaller model or a device with more memory",
    )


def _ahead(windows: Iterator[_Window]) -> Iterator[_Window]:
    """Each window, while the next one is read in a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="vox-read") as pool:
        waiting = pool.submit(next, windows, None)
        while (window := waiting.result()) is not None:
            waiting = pool.submit(next, windows, None)
            yield window
