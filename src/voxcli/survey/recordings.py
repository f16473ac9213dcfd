"""Tables -> what is heard in every recording, read once, in threads, an hour costing the memory of a minute."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxcli.api import Split, Utterance
from voxcli.audio.decode import decode, header
from voxcli.data.table import Table
from voxcli.doctor.audio.hearing import Sound, hear
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress
from voxcli.survey.snr import Powers

PIECE = 60.0  # s decoded at once
THREADS = min(8, os.cpu_count() or 1)
AHEAD = 256  # recordings handed to the threads at a time

Piece = tuple[NDArray[np.float32], int]


@dataclass(frozen=True)
class Recording:
    """What one utterance sounds like."""

    sound: Sound | None = None
    """None where it could not be read."""
    snr: float | None = None
    """dB, see `voxcli.survey.snr`."""
    problem: str | None = None
    """Why it could not be read."""


def listen(tables: Mapping[Split, Table], *, progress: Progress = NULL) -> dict[Split, list[Recording]]:
    """Read all recordings, in the order of the rows."""
    found: dict[Split, list[Recording]] = {}
    total = sum(len(table) for table in tables.values())
    with (
        progress.task("listening", total=total, unit="recordings") as bar,
        ThreadPoolExecutor(THREADS, "vox-listening") as threads,
    ):
        for split, table in tables.items():
            found[split] = []
            for start in range(0, len(table), AHEAD):
                rows = range(start, min(start + AHEAD, len(table)))
                for recording in threads.map(lambda row, table=table: heard(table.utterance(row)), rows):
                    found[split].append(recording)
                    bar.advance(1)
    return found


def heard(utterance: Utterance) -> Recording:
    """Read one recording, or say why that cannot be."""
    powers = Powers()

    def pieces() -> Iterator[Piece]:
        for samples, rate in _pieces(utterance):
            powers.add(samples, rate)
            yield samples, rate

    try:
        sound = hear(pieces())
    except DataError as error:
        return Recording(problem=error.message)
    except Exception as error:  # a plugin's callable: anything may come out of it
        if not callable(utterance.audio):
            raise
        return Recording(problem=f"{type(error).__name__}: {error}")
    return Recording(sound, powers.snr())


def _pieces(utterance: Utterance) -> Iterator[Piece]:
    """The stretch that training reads, piece by piece."""
    length = utterance.duration
    if length is None and not callable(utterance.audio):
        length = header(utterance.audio).duration - utterance.offset
    if callable(utterance.audio) or length is None or length <= PIECE:
        yield decode(utterance.audio, offset=utterance.offset, duration=utterance.duration, name=_name(utterance))
        return
    starts = np.arange(0.0, length - 1.0, PIECE).tolist()
    for number, start in enumerate(starts):
        last = number == len(starts) - 1
        piece = PIECE if not last else length - start if utterance.duration is not None else None
        yield decode(utterance.audio, offset=utterance.offset + start, duration=piece)


def _name(utterance: Utterance) -> str | None:
    return utterance.id if callable(utterance.audio) else None
