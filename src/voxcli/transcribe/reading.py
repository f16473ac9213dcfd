"""Recordings -> their audio, some at a time and ahead of the model that takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from voxcli.audio.decode import read
from voxcli.errors import DataError
from voxcli.transcribe.inputs import Source

MAX_FILES = 256  # of one group, however short they are

Read = tuple[Source, np.ndarray | DataError]
"""A recording with its samples (N,), or with the reason why it cannot be read."""


def groups(sources: Iterable[Source], *, sampling_rate: int, look_ahead: float) -> Iterator[list[Read]]:
    """Recordings in order, in groups of at least `look_ahead` s; the next group is read in a thread meanwhile.

    Memory holds at most two groups of audio (16 kHz float32: 64 kB a second), or one recording where it is longer.
    """
    found = _groups(sources, sampling_rate, look_ahead)
    with ThreadPoolExecutor(1, thread_name_prefix="vox-read") as pool:
        waiting = pool.submit(next, found, None)
        while (group := waiting.result()) is not None:
            waiting = pool.submit(next, found, None)
            yield group


def _groups(sources: Iterable[Source], sampling_rate: int, look_ahead: float) -> Iterator[list[Read]]:
    group: list[Read] = []
    seconds = 0.0
    for source in sources:
        audio = _audio(source, sampling_rate)
        group.append((source, audio))
        seconds += 0.0 if isinstance(audio, DataError) else len(audio) / sampling_rate
        if seconds >= look_ahead or len(group) >= MAX_FILES:
            yield group
            group, seconds = [], 0.0
    if group:
        yield group


def _audio(source: Source, sampling_rate: int) -> np.ndarray | DataError:
    if source.audio is None:
        return DataError(f"{source.name}: {source.problem}")
    try:
        return read(source.audio, sampling_rate=sampling_rate, name=source.name)
    except DataError as error:
        return error
