"""Recordings -> transcripts: audio is read ahead of the engine, and short recordings share its batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voxcli.api import Decoding, Engine, Transcript
from voxcli.errors import DataError, ModelError
from voxcli.progress import NULL, Progress
from voxcli.transcribe.inputs import Source
from voxcli.transcribe.reading import groups

LOOK_AHEAD = 240.0  # s of audio that are sorted by length together: more fills batches better, and shows texts later


@dataclass(frozen=True)
class Result:
    """What became of one recording: a transcript, or the reason why there is none."""

    source: Source
    transcript: Transcript | None
    problem: str | None = None
    help: str | None = None


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
    windows = groups(sources, sampling_rate=engine.sampling_rate, look_ahead=look_ahead)
    with progress.task("transcribing", total=len(sources), unit="files") as bar:
        for window in windows:
            clips = [audio for _, audio in window if not isinstance(audio, DataError)]
            texts = iter(engine.transcribe_batch(clips, decoding) if clips else [])
            for source, audio in window:
                if isinstance(audio, DataError):
                    yield Result(source, None, audio.message, audio.help)
                elif isinstance(transcript := next(texts), Transcript):
                    yield Result(source, transcript)
                elif transcript is not None:
                    raise ModelError("this model classifies: it writes no text", help="vox classify FILE, same --model")
                else:
                    yield _too_large(source, len(audio) / engine.sampling_rate)
                bar.advance(1)


def _too_large(source: Source, duration: float) -> Result:
    return Result(
        source,
        None,
        f"{source.name}: {duration:.1f} s of audio do not fit the memory, even alone",
        "fewer --num-beams, a smaller model or a device with more memory",
    )
