"""Recordings with other names but the same content, from what was heard and from files of equal size."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from voxcli.api import SPLITS, Finding, Fix, Split
from voxcli.doctor.audio.listening import Listening
from voxcli.doctor.checks.thresholds import SILENT
from voxcli.doctor.data.rows import of

FILES = 20_000  # files whose sizes are compared; `--full` compares all
ENDS = 1 << 12  # bytes at each end that are compared before a whole file is read
READ = 300_000_000  # bytes of whole files that are read at most; `--full` reads all

Place = tuple[Split, int]


def findings(listening: Listening) -> Iterator[Finding]:
    """Across splits a warning, and within one where the texts differ; a note where a recording stands there twice."""
    groups = _groups(listening)
    tables = listening.tables
    for number, split in enumerate(SPLITS):
        for other in SPLITS[:number]:
            both = [group for group in groups if {split, other} <= {place[0] for place in group}]
            if both:
                here = sorted({row for group in both for name, row in group if name == split})
                there = sorted({row for group in both for name, row in group if name == other})
                leave = tuple(f"{name}\t{other}" for name in _ids(listening, [(other, row) for row in there]))
                which = of(len(here), len(tables[split]))
                yield Finding(
                    "warning",
                    f"{which} of the {split} split are recordings that also stand in {other}, under other names",
                    f"leave them out of {other}, or take another split",
                    utterances=_ids(listening, [(split, row) for row in here]),
                    fix=Fix(leave_out=leave) if len(there) < len(tables[other]) else None,
                )
    for split in SPLITS:
        within = [[place for place in group if place[0] == split] for group in groups]
        within = [group for group in within if len(group) > 1]
        unlike = [group for group in within if len({_text(listening, place) for place in group}) > 1]
        if unlike:
            places = [place for group in unlike for place in group]
            yield Finding(
                "warning",
                f"{of(len(places), len(tables[split]))} of the {split} split are the same recordings with other texts: "
                f"{_text(listening, places[0])!r} and {_text(listening, _second(listening, unlike[0]))!r}",
                "keep the one whose text is right, leave the others out",
                utterances=_ids(listening, places),
                fix=Fix(leave_out=_lines(listening, places)) if len(places) < len(tables[split]) else None,
            )
        alike = [place for group in within if group not in unlike for place in group]
        if alike:
            yield Finding(
                "note",
                f"{of(len(alike), len(tables[split]))} of the {split} split are the same recordings under other names",
                "they count twice; leave one of each out",
                utterances=_ids(listening, alike),
            )


def _groups(listening: Listening) -> list[list[Place]]:
    """Places with the same content; those that name the same file are no news and stand for one."""
    equal: dict[bytes, list[Place]] = {}
    for clip in listening.heard:
        if clip.sound is not None and clip.sound.level >= SILENT and clip.sound.not_finite is None:
            equal.setdefault(clip.sound.digest, []).append((clip.split, clip.row))
    heard = {place for group in equal.values() for place in group}
    for digest, places in _same_bytes(listening).items():
        if not heard.issuperset(places):
            equal[digest] = places
    found = []
    for group in equal.values():
        if len(group) > 1 and len({_source(listening, place) for place in group}) > 1:
            found.append(group)
    return found


def _same_bytes(listening: Listening) -> dict[bytes, list[Place]]:
    """Hash -> places, of whole files of the same size that begin and end alike."""
    rng = np.random.default_rng(0)
    files: dict[tuple[int, int, int], list[tuple[str, Place]]] = {}
    whole = sum(len(table) for table in listening.tables.values())
    for split, table in listening.tables.items():
        wanted = len(table) if listening.context.full else min(len(table), FILES * len(table) // max(1, whole) + 1)
        rows = np.sort(rng.choice(len(table), wanted, replace=False)) if len(table) else np.zeros(0, np.int64)
        for row, path in zip(rows.tolist(), table.select(rows).column("audio"), strict=True):
            with contextlib.suppress(OSError, TypeError, ValueError):
                status = os.stat(path or "")
                files.setdefault((status.st_size, status.st_dev, status.st_ino), []).append((path or "", (split, row)))
    sizes = Counter(size for size, _, _ in files)
    alike: dict[bytes, list[tuple[int, list[tuple[str, Place]]]]] = {}
    for (size, _, _), named in files.items():
        if sizes[size] > 1 or len({path for path, _ in named}) > 1:
            key = _digest(named[0][0], ENDS) + size.to_bytes(8, "big")
            alike.setdefault(key, []).append((size, named))
    equal: dict[bytes, list[Place]] = {}
    left = READ
    for some in alike.values():
        for size, named in some:
            if len(some) > 1:
                left -= size
                if left < 0 and not listening.context.full:
                    break
            digest = _digest(named[0][0], None) if len(some) > 1 else _digest(named[0][0], ENDS)
            # one row of each name: rows that name one file read stretches of it, or are known to be the same
            equal.setdefault(digest, []).extend(dict(reversed(named)).values())
    return {digest: places for digest, places in equal.items() if len(places) > 1}


def _digest(path: str, ends: int | None) -> bytes:
    try:
        with Path(path).open("rb") as file:
            if ends is None:
                return hashlib.file_digest(file, "blake2b").digest()
            head = file.read(ends)
            file.seek(max(0, os.fstat(file.fileno()).st_size - ends))
            return hashlib.blake2b(head + file.read(ends)).digest()
    except OSError:
        return os.urandom(16)


def _source(listening: Listening, place: Place) -> object:
    utterance = listening.tables[place[0]].utterance(place[1])
    return repr(utterance.audio) if callable(utterance.audio) else (str(utterance.audio), utterance.offset)


def _text(listening: Listening, place: Place) -> str | None:
    table = listening.tables[place[0]]
    text = table.texts[place[1]]
    return table.column("label")[place[1]] if text is None else text


def _second(listening: Listening, group: Sequence[Place]) -> Place:
    first = _text(listening, group[0])
    return next(place for place in group if _text(listening, place) != first)


def _ids(listening: Listening, places: Sequence[Place]) -> tuple[str, ...]:
    return tuple(str(listening.tables[split].ids[row]) for split, row in places)


def _lines(listening: Listening, places: Sequence[Place]) -> tuple[str, ...]:
    split = places[0][0]
    rows = np.asarray([row for _, row in places])
    return listening.context.data.leave_out(split, listening.tables[split], rows)
