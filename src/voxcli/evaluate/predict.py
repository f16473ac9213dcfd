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
from voxcli.audio.decode import read_utterance
from voxcli.decoders.opening import check
from voxcli.engines.batching import collate, fits, inference, long_enough, pack, shortest_input, transcripts
from voxcli.engines.ceiling import Ceiling, Size
from voxcli.engines.halving import Halving, advice
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress

Clip = tuple[Utterance, np.ndarray]
Told = Callable[[Size, str, bool], None]
"""Size of a batch that did not fit the memory, what torch said, whether it goes on in halves."""


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
    told: Told | None = None,
    ceiling: Ceiling | None = None,
) -> Iterator[tuple[Utterance, Transcript]]:
    """Transcribe the rows `indices` of a table (None: all), longest first; every readable row comes out once.

    Threads read audio and compute features two batches ahead of the model (`num_workers` = 0: none), so that memory is
    bounded by `batch_duration` (s of padded audio), however long the table is. An utterance whose audio cannot be read
    is left out; its id and the reason are added to `skipped`. The model is in evaluation mode while a batch is decoded
    and as it was whenever this generator has yielded.

    A batch that does not fit the memory is decoded in halves, and so are later ones of its size (`ceiling`); a clip
    that does not fit alone is left out like one that cannot be read. `told` hears of each; without it `progress` says
    so once.
    """
    check(task, bundle, decoding)
    limits = bundle.family.limits()
    light = bundle.replace(model=None)
    rows = np.arange(len(table)) if indices is None else np.asarray(indices, dtype=np.int64)
    durations = np.nan_to_num(np.asarray(table.durations, dtype=np.float64)[rows], nan=0.0)
    shortest = shortest_input(bundle, limits)
    packed = pack(durations.tolist(), batch_duration, shortest=shortest)
    decoder = _Decoder(bundle, task, decoding, limits, shortest, told or _saying(progress), ceiling)

    def prepare(positions: list[int]) -> _Ready:
        return _prepare(light, task, [table.utterance(int(rows[position])) for position in positions], limits)

    doing = "classifying" if getattr(task, "learns", "text") == "label" else "transcribing"
    with progress.task(doing, total=float(durations.sum()), unit="s of audio") as bar:
        for ready in ahead(prepare, packed, num_workers):
            with inference(bundle, batch_duration):
                done, too_large = decoder(ready)
            for utterance, reason in [*ready.unreadable, *too_large]:
                if skipped is not None:
                    skipped.append((utterance.id, reason))
                progress.say(f"left out {utterance.id}: {reason}")
            yield from done
            bar.advance(sum(transcript.duration for _, transcript in done))


def _prepare(bundle: Bundle, task: Task, utterances: list[Utterance], limits: Limits) -> _Ready:
    clips, long, unreadable = [], [], []
    for utterance in utterances:
        try:
            audio = read_utterance(utterance, limits.sampling_rate)
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


class _Decoder:
    """Batches -> transcripts, in halves where the memory does not suffice."""

    def __init__(
        self,
        bundle: Bundle,
        task: Task,
        decoding: Decoding,
        limits: Limits,
        shortest: float,
        told: Told,
        ceiling: Ceiling | None,
    ) -> None:
        self._bundle, self._task, self._decoding, self._limits = bundle, task, decoding, limits
        self._shortest = shortest
        self._ready: _Ready | None = None
        self._long = Halving(self._each, told=told)
        self._batch = Halving(self._together, told=told, ceiling=ceiling)

    def __call__(self, ready: _Ready) -> tuple[list[tuple[Utterance, Transcript]], list[tuple[Utterance, str]]]:
        """Transcripts, and what does not fit alone with the reason."""
        self._ready = ready
        clips = [*ready.long, *ready.clips]
        found: list[Transcript | None] = []
        for one in ready.long:  # one after the other: each is as long as it likes
            found += self._long([one], [self._duration(one)])
        found += self._batch(ready.clips, [max(self._duration(one), self._shortest) for one in ready.clips])
        self._ready = None
        done = [(clip[0], one) for clip, one in zip(clips, found, strict=True) if one is not None]
        lost = [
            (clip[0], f"does not fit the memory, even alone ({self._duration(clip):.1f} s)")
            for clip, one in zip(clips, found, strict=True)
            if one is None
        ]
        return done, lost

    def _duration(self, clip: Clip) -> float:
        utterance, audio = clip
        return utterance.duration or len(audio) / self._limits.sampling_rate

    def _each(self, clips: list[Clip]) -> list[Transcript]:
        return [self._task.transcribe(self._bundle, audio, self._decoding) for _, audio in clips]

    def _together(self, clips: list[Clip]) -> list[Transcript]:
        assert self._ready is not None
        whole = len(clips) == len(self._ready.clips)
        tensors = self._ready.tensors if whole else collate(self._bundle.replace(model=None), self._task, clips)
        durations = [self._duration(clip) for clip in clips]
        return transcripts(self._bundle, self._task, tensors, durations, self._decoding)


def _saying(progress: Progress) -> Told:
    """Says once that the memory did not suffice, and what needs less."""
    said: list[Size] = []

    def told(size: Size, message: str, cut: bool) -> None:
        if cut and not said:
            said.append(size)
            progress.say(advice(size))

    return told


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def ahead(function: Callable[[_In], _Out], items: Sequence[_In], workers: int) -> Iterator[_Out]:
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
