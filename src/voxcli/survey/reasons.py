"""Tables and what is heard in their recordings -> the utterances that are better left out, each under one reason.

The first reason that applies counts, in the order of REASONS. Figures that a user does not set are the doctor's, each
with its source in `voxcli.doctor.checks.thresholds`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxcli.api import SPLITS, Split
from voxcli.data.table import Table
from voxcli.doctor.audio.hearing import Sound
from voxcli.doctor.checks.thresholds import (
    CLIPPED,
    LONG_PAUSE,
    NEAR_FULL,
    NO_SPEECH,
    OVER_LIMIT,
    RATE_LETTERS,
    SILENT,
    SPREAD,
    UNDER_LIMIT,
)
from voxcli.doctor.data.speech_rate import letters_of, unexpected
from voxcli.errors import UsageError
from voxcli.survey.alike import same_recordings, too_often
from voxcli.survey.recordings import Recording
from voxcli.survey.tongue import foreign_texts
from voxcli.text.codepoints import CodePoints

REASONS = {
    "unreadable": "the audio cannot be read",
    "silent": "no sound, or a click or a steady hiss only",
    "clipped": "samples on a flat top",
    "short": "shorter than --min-duration",
    "long": "longer than --max-duration",
    "no-text": "no transcript where others have one",
    "noisy": "steady noise near or above the level of speech (an estimate)",
    "fast": "more text than can be said in the recording",
    "slow": "far less text than is usual for such a recording",
    "language": "the text is of another language than it is said to be",
    "duplicate": "the same samples as another recording with the same text",
    "contradiction": "the same samples as another recording, with another text",
    "repeated-text": "a text that stands in the split more often than --max-same-text",
}
"""Reason -> what it means, in the order in which they are looked for."""


@dataclass(frozen=True)
class Thresholds:
    """Where the lines are drawn. None: not looked at."""

    min_level: float | None = SILENT
    """dB of the loudest frames but a few."""
    max_clipped: float | None = CLIPPED
    """Share of the samples."""
    min_snr: float | None = 3.0
    """dB; transcribed speech only: a recording of rain is nothing but noise."""
    min_duration: float | None = None
    """s"""
    max_duration: float | None = None
    """s"""
    max_rate: float | None = OVER_LIMIT
    """Letters a second. With None, what the data set's own other utterances let expect is not asked either."""
    min_rate: float | None = UNDER_LIMIT
    """Letters a second, of recordings of more than LONG_PAUSE s."""
    languages: bool = True
    max_same_text: int | None = None
    """Utterances of a split."""
    keep: frozenset[str] = frozenset()
    """Reasons that keep nothing out."""

    def __post_init__(self) -> None:
        """Raises `UsageError` for figures that cannot be meant."""
        for name, low, high in (
            ("min_level", -120.0, 0.0),
            ("max_clipped", 0.0, 1.0),
            ("min_snr", -40.0, 100.0),
            ("min_duration", 0.0, float("inf")),
            ("max_duration", 0.0, float("inf")),
            ("max_rate", 0.0, float("inf")),
            ("min_rate", 0.0, float("inf")),
            ("max_same_text", 1, float("inf")),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} {value:g} is not between {low:g} and {high:g}", help="see --help")


@dataclass(frozen=True)
class Drop:
    """An utterance to leave out."""

    split: Split
    row: int
    """Of its split's table."""
    reason: str
    """One of REASONS."""
    detail: str
    """What was measured, and the line: "0.031 of the samples, limit 0.01"."""


_LOOKED_FOR = {
    "silent": ("min_level",),
    "clipped": ("max_clipped",),
    "noisy": ("min_snr",),
    "short": ("min_duration",),
    "long": ("max_duration",),
    "fast": ("max_rate",),
    "slow": ("min_rate",),
    "language": ("languages",),
    "repeated-text": ("max_same_text",),
}
"""Reason -> the threshold without which it is not looked for."""


def thresholds(set_to: Mapping[str, float], keep: Sequence[str] = ()) -> Thresholds:
    """The usual figures with some of them set, without the reasons in `keep`. Raises `UsageError`."""
    changes: dict[str, Any] = dict(set_to)
    for reason in keep:
        if reason not in REASONS:
            close = difflib.get_close_matches(reason, REASONS, n=1)
            meant = f"did you mean '{close[0]}'? " if close else ""
            raise UsageError(f"--keep {reason}: there is no such reason", help=f"{meant}known: {', '.join(REASONS)}")
        for name in _LOOKED_FOR.get(reason, ()):
            changes[name] = False if name == "languages" else None
    return dataclasses.replace(Thresholds(), keep=frozenset(keep), **changes)


def drops(
    tables: Mapping[Split, Table],
    recordings: Mapping[Split, Sequence[Recording]],
    thresholds: Thresholds,
    *,
    language: str | None = None,
) -> list[Drop]:
    """What is better left out, split by split, row by row. `language`: of rows that name none."""
    found: dict[tuple[Split, int], Drop] = {}
    order = list(REASONS)
    transcribed = any(table.texts.array.null_count < len(table) for table in tables.values())
    every = [*_heard(tables, recordings, thresholds, transcribed), *_lengths(tables, thresholds)]
    if transcribed:
        every += [*_texts(tables), *_rates(tables, thresholds)]
        if thresholds.languages:
            every += _languages(tables, language)
        if thresholds.max_same_text is not None:
            for split, row in too_often(tables, thresholds.max_same_text):
                every.append(Drop(split, row, "repeated-text", f"beyond the first {thresholds.max_same_text}"))
    every = [drop for drop in every if drop.reason not in thresholds.keep]
    for drop in sorted(every, key=lambda one: order.index(one.reason)):
        found.setdefault((drop.split, drop.row), drop)
    for drop in _duplicates(tables, recordings, found):
        if drop.reason not in thresholds.keep:
            found.setdefault((drop.split, drop.row), drop)
    return sorted(found.values(), key=lambda one: (SPLITS.index(one.split), one.row))


def _heard(
    tables: Mapping[Split, Table],
    recordings: Mapping[Split, Sequence[Recording]],
    limits: Thresholds,
    transcribed: bool,
) -> Iterator[Drop]:
    for split in tables:
        for row, recording in enumerate(recordings[split]):
            sound = recording.sound
            if sound is None:
                yield Drop(split, row, "unreadable", recording.problem or "")
                continue
            if sound.not_finite is not None:
                yield Drop(split, row, "unreadable", f"samples that are no numbers, {sound.not_finite:.2f} s in")
            if limits.min_level is not None and _silent(sound, limits.min_level):
                yield Drop(split, row, "silent", f"{sound.level:.0f} dB, limit {limits.min_level:g}")
            if limits.max_clipped is not None and (share := _clipped(sound, limits.max_clipped)):
                yield Drop(split, row, "clipped", f"{share:.3f} of the samples, limit {limits.max_clipped:g}")
            snr = recording.snr if transcribed else None
            if limits.min_snr is not None and snr is not None and snr < limits.min_snr:
                yield Drop(split, row, "noisy", f"about {snr:.0f} dB, limit {limits.min_snr:g}")


def _silent(sound: Sound, least: float) -> bool:
    return sound.level < least or (sound.level < NO_SPEECH and sound.spread < SPREAD)


def _clipped(sound: Sound, most: float) -> float | None:
    """The share of the samples that are clipped, where it is too large; lossy formats leave tops that are not flat."""
    if sound.clipped > most:
        return sound.clipped
    return sound.near if sound.near > most * NEAR_FULL / CLIPPED else None


def _lengths(tables: Mapping[Split, Table], limits: Thresholds) -> Iterator[Drop]:
    for split, table in tables.items():
        for row, duration in enumerate(table.durations.tolist()):
            if limits.min_duration is not None and duration < limits.min_duration:
                yield Drop(split, row, "short", f"{duration:.2f} s, limit {limits.min_duration:g}")
            if limits.max_duration is not None and duration > limits.max_duration:
                yield Drop(split, row, "long", f"{duration:.2f} s, limit {limits.max_duration:g}")


def _texts(tables: Mapping[Split, Table]) -> Iterator[Drop]:
    for split, table in tables.items():
        for row, text in enumerate(table.texts):
            if text is None or not text.strip():
                yield Drop(split, row, "no-text", "none" if text is None else "empty")


def _rates(tables: Mapping[Split, Table], limits: Thresholds) -> Iterator[Drop]:
    """By limits that hold for everybody, and by what the utterances of the same language let expect."""
    letters = {split: letters_of(CodePoints(table.texts.array)) for split, table in tables.items()}
    lengths = {split: np.nan_to_num(table.durations.astype(np.float64)) for split, table in tables.items()}
    odd = {split: np.zeros(len(table), np.int8) for split, table in tables.items()}
    spoken: dict[str | None, list[tuple[Split, int]]] = {}
    for split, table in tables.items():
        for row, language in enumerate(table.column("language")):
            spoken.setdefault(language, []).append((split, row))
    for places in spoken.values():
        values = [np.asarray([of[split][row] for split, row in places]) for of in (letters, lengths)]
        for (split, row), one in zip(places, unexpected(*values), strict=True):
            odd[split][row] = one
    for split in tables:
        for row, (count, duration) in enumerate(zip(letters[split], lengths[split], strict=True)):
            if not count or not duration:
                continue
            said = f"{count:.0f} letters in {duration:.2f} s"
            if limits.max_rate is not None and (
                odd[split][row] < 0 or (count >= RATE_LETTERS and count > limits.max_rate * duration)
            ):
                yield Drop(split, row, "fast", said)
            if limits.min_rate is not None and (
                odd[split][row] > 0 or (duration > LONG_PAUSE and count < limits.min_rate * duration)
            ):
                yield Drop(split, row, "slow", said)


def _languages(tables: Mapping[Split, Table], language: str | None) -> Iterator[Drop]:
    for split, table in tables.items():
        said = [one or language for one in table.column("language")]
        for row, other in enumerate(foreign_texts(table.texts, said)):
            if other is not None:
                yield Drop(split, row, "language", f"{other}, not {said[row]}")


def _duplicates(
    tables: Mapping[Split, Table],
    recordings: Mapping[Split, Sequence[Recording]],
    gone: Mapping[tuple[Split, int], Drop],
) -> Iterator[Drop]:
    """Of what is left only: one that goes for another reason keeps nobody out."""
    left: dict[Split, set[int]] = {}
    for split, row in gone:
        left.setdefault(split, set()).add(row)
    for again in same_recordings(tables, recordings, left):
        (split, row), (first, other) = again.place, again.first
        name = tables[first].ids[other]
        text = f": {tables[first].texts[other]!r}" if again.differ else ""
        yield Drop(split, row, "contradiction" if again.differ else "duplicate", f"as {name} ({first}){text}")
