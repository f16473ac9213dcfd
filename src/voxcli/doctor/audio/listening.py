"""A recipe's recordings -> what is heard in a stated sample of them, read once for all checks of audio.

Small data sets are read whole. Of larger ones a sample is: drawn by chance from every split, and those that stand out
in what is known without reading (the longest and shortest, the most and least text or bytes a second). `--full` reads
all. Headers are read of many more, because they cost less.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import SPLITS, Split, Utterance
from voxcli.audio.decode import Header, decode, header
from voxcli.data.table import Table
from voxcli.doctor.audio.hearing import Sound, hear
from voxcli.doctor.data.rows import of
from voxcli.errors import DataError
from voxcli.findings import Finding, Fix, Level

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

ALL_CLIPS = 400  # a data set of so many is read whole …
ALL_SECONDS = 1800.0  # … where it is no longer than this
SAMPLE = 200  # clips drawn by chance from a larger one
SAMPLE_SECONDS = 600.0  # s of them at most
STANDING_OUT = 10  # clips at each end of what is known without reading
HEADERS = 2000  # clips whose headers are read
PIECE = 60.0  # s decoded at once
LONGEST = 120.0  # s of one clip in a sample; its end is read besides
THREADS = min(8, 2 * (os.cpu_count() or 1))
SEED = 5

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Clip:
    """An utterance that was looked at."""

    split: Split
    row: int
    """Of `Listening.tables[split]`."""
    utterance: Utterance
    header: Header | None = None
    sound: Sound | None = None
    """None where only the header was read, and where reading failed."""
    problem: DataError | None = None

    @property
    def id(self) -> str:
        """The utterance's."""
        return self.utterance.id


@dataclass
class Listening:
    """What was heard."""

    context: Context
    clips: list[Clip] = field(default_factory=list)

    @cached_property
    def tables(self) -> dict[Split, Table]:
        """The rows that `Clip.row` counts: those that `[filter]` keeps and whose audio is there."""
        data = self.context.data
        kept = {split: data.kept(split) for split in SPLITS}
        if any(len(table) for table in kept.values()):
            return kept
        # nothing is left, for want of transcripts perhaps: the audio can be looked at all the same
        listed = {split: data.listed(split) for split in SPLITS}
        return {
            split: table.select(np.asarray(pc.is_null(table.column("problem").array).to_numpy(), np.bool_))
            for split, table in listed.items()
        }

    @cached_property
    def heard(self) -> list[Clip]:
        """Those whose samples were read."""
        return [clip for clip in self.clips if clip.sound is not None]

    @cached_property
    def by_row(self) -> dict[tuple[Split, int], Clip]:
        """(split, row) -> clip."""
        return {(clip.split, clip.row): clip for clip in self.clips}

    def findings(
        self, clips: Sequence[Clip], level: Level, what: str, help: str, *, path: tuple[str | int, ...] = ()
    ) -> Iterator[Finding]:
        """One for each split: "3 of 24 utterances of the train split are silent", with the list to leave out."""
        for split in SPLITS:
            some = [clip for clip in clips if clip.split == split]
            if not some:
                continue
            rows, heard = np.asarray([clip.row for clip in some]), sum(clip.split == split for clip in self.heard)
            table = self.tables[split]
            sampled = "" if heard == len(table) else " that were listened to"
            whole = len(some) == len(table)
            yield Finding(
                level,
                f"{of(len(some), heard)} of the {split} split{sampled} {what}",
                help + ("" if heard == len(table) else "; `--full` listens to all of them"),
                path=path,
                utterances=tuple(clip.id for clip in some),
                fix=None
                if whole or level == "note"
                else Fix(leave_out=self.context.data.leave_out(split, table, rows)),
            )


def listen(context: Context) -> Listening:
    """Read the audio, once for each context."""
    return context._once("listening", lambda: _listened(context))


def _listened(context: Context) -> Listening:
    found = Listening(context)
    tables = found.tables
    total = sum(len(table) for table in tables.values())
    seconds = sum(table.duration for table in tables.values())
    whole = context.full or (total <= ALL_CLIPS and seconds <= ALL_SECONDS)
    wanted: list[tuple[Split, int, bool]] = []
    for split, table in tables.items():
        rows = np.arange(len(table)) if whole else _sampled(table, max(1, round(SAMPLE * len(table) / max(1, total))))
        rows = rows if whole else _within(rows, table, SAMPLE_SECONDS * len(table) / max(1, total))
        chosen = set(rows.tolist())
        headers = _drawn(len(table), HEADERS * len(table) // max(1, total)).tolist()
        wanted += [(split, row, True) for row in sorted(chosen)]
        wanted += [(split, row, False) for row in headers if row not in chosen]
    decoded = sum(one for _, _, one in wanted)
    if not whole and total > decoded:
        headers = f", of {total - len(wanted):,} the headers as well" if total > len(wanted) else ""
        context.not_looked_at.append(
            f"the audio of {total - decoded:,} of {total:,} utterances{headers}; `--full` reads all of it"
        )
    with (
        context.progress.task("listening", total=len(wanted), unit="clips") as bar,
        ThreadPoolExecutor(THREADS, "vox-listening") as threads,
    ):

        def look(one: tuple[Split, int, bool]) -> Clip:
            split, row, listens = one
            return _look(split, row, tables[split].utterance(row), listens, limit=None if context.full else LONGEST)

        for clip in threads.map(look, wanted):
            found.clips.append(clip)
            bar.advance(1)
    return found


def _drawn(rows: int, number: int) -> Rows:
    """Row numbers, drawn by chance, always the same."""
    if number >= rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(SEED).choice(rows, number, replace=False))


def _sampled(table: Table, number: int) -> Rows:
    """Rows drawn by chance, and those that stand out."""
    durations = np.nan_to_num(table.durations.astype(np.float64))
    letters = np.asarray(pc.fill_null(pc.utf8_length(table.texts.array), 0).to_numpy(), np.float64)
    measures = [durations, letters / np.maximum(durations, 0.1)]
    few = max(2, STANDING_OUT * number // SAMPLE)
    drawn = _drawn(len(table), number)
    out = [np.argpartition(one, (few, len(one) - few - 1))[[*range(few), *range(-few, 0)]] for one in measures
           if len(one) > 2 * few + 2]  # fmt: skip
    pile = np.flatnonzero(np.abs(durations - durations.max(initial=0.0)) < 0.01)
    return np.concatenate([drawn, *out, pile[_drawn(len(pile), number // 4)]])


def _within(rows: Rows, table: Table, seconds: float) -> Rows:
    """As many of the rows, in their order, as are no longer than that together; ten at least."""
    rows = rows[np.sort(np.unique(rows, return_index=True)[1])]
    lengths = np.minimum(np.nan_to_num(table.durations[rows].astype(np.float64)), LONGEST)
    # what stands out comes last and is wanted most
    order = np.arange(len(rows))[::-1]
    fits = np.cumsum(lengths[order]) <= seconds
    fits[:10] = True
    return rows[order[fits]]


def _look(split: Split, row: int, utterance: Utterance, listens: bool, *, limit: float | None) -> Clip:
    found: Header | None = None
    try:
        if not callable(utterance.audio):
            found = header(utterance.audio)
        if not listens:
            return Clip(split, row, utterance, found)
        return Clip(split, row, utterance, found, hear(_pieces(utterance, found, limit)))
    except DataError as error:
        sound = None
        if found is not None and listens and utterance.duration is not None and found.duration < LONGEST:
            with contextlib.suppress(DataError):  # a row that asks for more than there is: what is there says why
                sound = hear([decode(utterance.audio, offset=utterance.offset)])
        return Clip(split, row, utterance, found, sound, problem=error)
    except Exception as error:  # a plugin's callable: anything may come out of it
        if not callable(utterance.audio):
            raise
        problem = DataError(f"{type(error).__name__}: {error}", help="the plugin that provides the data set fails")
        return Clip(split, row, utterance, found, problem=problem)


def _pieces(utterance: Utterance, found: Header | None, limit: float | None) -> Iterator[tuple[Any, int]]:
    """The stretch that training reads, piece by piece; of a long one the beginning and the end, up to a limit."""
    if found is None:
        yield decode(utterance.audio, offset=utterance.offset, duration=utterance.duration, name=utterance.id)
        return
    length = utterance.duration if utterance.duration is not None else found.duration - utterance.offset
    if length <= PIECE:
        yield decode(utterance.audio, offset=utterance.offset, duration=utterance.duration)
        return
    starts = np.arange(0.0, length - 1.0, PIECE).tolist()
    if limit is not None and length > limit:
        starts = [*starts[: max(1, int(limit / PIECE) - 1)], max(0.0, length - PIECE)]
    for number, start in enumerate(starts):
        last = number == len(starts) - 1
        rest = length - start if utterance.duration is not None or utterance.offset else None
        yield decode(utterance.audio, offset=utterance.offset + start, duration=rest if last else PIECE)
