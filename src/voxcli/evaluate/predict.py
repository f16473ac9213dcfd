"""Model + table of utterances -> their transcripts, in batches of about equal length.

Evaluation during training and `vox evaluate` both come here, so that they cannot decode differently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from voxcli.api import Bundle, Decoding, Limits, Task, Transcript, Utterance
from voxcli.audio.decode import read
from voxcli.engines.batching import collate, fits, inference, long_enough, pack, shortest_input, transcripts
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress

Clip = tuple[Utterance, np.ndarray]


class Utterances(Protocol):
    """What is read of a table: `voxcli.data.corpus.Table` is one."""

    @property
    def durations(self) -> np.ndarray:
        """float32 (n,), s."""
        ...

    def __len__(self) -> int: ...

    def utterance(self, index: int) -> Utterance:
        """One row."""
        ...


@dataclass
class _Ready:
    """Audio of one batch, read and turned into the model's input."""

    clips: list[Clip]
    tensors: dict[str, Any]
    long: list[Clip]
    """Clips that the model does not take in one piece."""
    unreadable: list[tuple[Utterance, str]]


def predict(
    bundle: Bundle,
    task: Task,
    table: Utterances,
    indices: Sequence[int] | np.ndarray | None = None,
    *,
    decoding: Decoding,
    batch_duration: float = 120.0,
    num_workers: int = 2,
    skipped: list[tuple[str, str]] | None = None,
    progress: Progress = NULL,
) -> Iterator[tuple[Utterance, Transcript]]:
    """Transcribe the rows `indices` of a table (None: all), longest first; every readable row comes out once.

    Threads read audio and compute features two batches ahead of the model (`num_workers` = 0: none), so that memory is
    bounded by `batch_duration` (s of padded audio), however long the table is. An utterance whose audio cannot be read
    is left out; its id and the reason are added to `skipped`. The model is in evaluation mode while a batch is decoded
    and as it was whenever this generator has yielded.
    """
    limits = bundle.family.limits()
    light = bundle.replace(model=None)
    rows = np.arange(len(table)) if indices is None else np.asarray(indices, dtype=np.int64)
    durations = np.nan_to_num(np.asarray(table.durations, dtype=np.float64)[rows], nan=0.0)
    packed = pack(durations.tolist(), batch_duration, shortest=shortest_input(bundle, limits))

    def prepare(positions: list[int]) -> _Ready:
        return _prepare(light, task, [table.utterance(int(rows[position])) for position in positions], limits)

    with progress.task("transcribing", total=float(durations.sum()), unit="s of audio") as bar:
        for ready in _ahead(prepare, packed, num_workers):
            for utterance, reason in ready.unreadable:
                if skipped is not None:
                    skipped.append((utterance.id, reason))
                progress.say(f"left out {utterance.id}: {reason}")
            with inference(bundle, batch_duration):
                done = _transcribe(bundle, task, ready, decoding, limits)
            yield from done
            bar.advance(sum(transcript.duration for _, transcript in done))


def _prepare(bundle: Bundle, task: Task, utterances: list[Utterance], limits: Limits) -> _Ready:
    clips, long, unreadable = [], [], []
    for utterance in utterances:
        try:
            audio = read(
                utterance.audio,
                offset=utterance.offset,
                duration=utterance.duration,
                sampling_rate=limits.sampling_rate,
            )
        except DataError as error:
            unreadable.append((utterance, error.message))
            continue
        if utterance.duration is None:
            utterance = utterance.replace(duration=len(audio) / limits.sampling_rate)
        if fits(audio, limits):
            clips.append((utterance, long_enough(audio, limits)))
        else:
            long.append((utterance, audio))
    return _Ready(clips, collate(bundle, task, clips) if clips else {}, long, unreadable)


def _transcribe(
    bundle: Bundle, task: Task, ready: _Ready, decoding: Decoding, limits: Limits
) -> list[tuple[Utterance, Transcript]]:
    done = [(utterance, task.transcribe(bundle, audio, decoding)) for utterance, audio in ready.long]
    if ready.clips:
        durations = [utterance.duration or len(audio) / limits.sampling_rate for utterance, audio in ready.clips]
        of = transcripts(bundle, task, ready.tensors, durations, decoding)
        done += [(utterance, transcript) for (utterance, _), transcript in zip(ready.clips, of, strict=True)]
    return done


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def _ahead(function: Callable[[_In], _Out], items: Sequence[_In], workers: int) -> Iterator[_Out]:
    """`map(function, items)` in threads, in order, at most `workers` + 1 results ahead of the consumer."""
    if workers <= 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="vox-read")
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
