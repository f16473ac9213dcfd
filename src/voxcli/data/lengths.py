"""Clips of a length that training does not take -> cut to their middle, cut into pieces, or padded, as `[filter]` says.

No audio is read: a piece is a stretch of the same file. A text belongs to the whole of its recording, so a recording
with a text is cut where its `segments` say what is spoken when, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxcli.api import SPLITS, Limits, Split
from voxcli.data.filters import Check, Drop, apply, durations
from voxcli.data.stretches import SLACK, Plan, spoken_pieces
from voxcli.data.table import Table
from voxcli.recipe.schema import Filter, TextRules
from voxcli.text.normalize import normalizer

EXAMPLES = 5


@dataclass(frozen=True)
class Change:
    """Utterances that were made shorter, longer, or several, for one reason."""

    split: Split
    what: str
    """Names the key: "cut into pieces of at most 15 s, [filter] too_long = "chunk"" """
    count: int
    """Utterances before."""
    made: int
    """Utterances after."""
    before: float
    """Sum of their durations, s."""
    after: float
    examples: tuple[str, ...]
    """The first few ids before."""

    def __str__(self) -> str:
        names = ", ".join(self.examples) + (", …" if self.count > len(self.examples) else "")
        noun = "utterance" if self.count == 1 else "utterances"
        return f"{self.split}: {self.count} {noun} ({self.before:.1f} s) {self.what}: {names}"


@dataclass(frozen=True)
class Lengths:
    """What `[filter]` and the model ask of a clip's length."""

    rules: Filter
    limits: Limits | None
    texts: bool
    """Whether an utterance's text is learned: it is then cut at its segments only."""
    normalize: Callable[[str], str]

    @property
    def longest(self) -> float:
        """s; infinity where anything goes."""
        asked = (self.rules.max_duration, None if self.limits is None else self.limits.max_duration)
        return min((one for one in asked if one is not None), default=float("inf"))

    @property
    def shortest(self) -> float:
        """s."""
        asked = (self.rules.min_duration, None if self.limits is None else self.limits.min_duration)
        return max((one for one in asked if one is not None), default=0.0)

    @property
    def asked(self) -> bool:
        """Whether anything may be cut or padded."""
        return self.rules.too_long != "drop" or self.rules.too_short != "drop"

    def before(self, checks: list[Check]) -> list[Check]:
        """The checks that are made before clips are cut: not those of their lengths."""
        if not self.asked:
            return checks
        keys = {(check.key, check.reason) for check in self._checks()}
        return [check for check in checks if (check.key, check.reason) not in keys]

    def apply(self, table: Table, split: Split, *, cut: bool) -> tuple[Table, list[Change], list[Drop]]:
        """Cut and pad, then leave out what is still too long or too short. Without `cut`, clips that would be changed
        stay as they are where the model takes them.
        """
        changes: list[Change] = []
        checks = self._checks()
        if cut:
            table, changes = self.fit(table, split)
        else:
            spared = {
                "filter.max_duration": self.rules.too_long != "drop",
                "filter.min_duration": self.rules.too_short != "drop",
            }
            checks = [check for check in checks if not spared.get(check.key, False)]
        table, drops = apply(table, split, checks)
        return table, changes, drops

    def _checks(self) -> list[Check]:
        return list(durations(self.rules, self.limits))

    def fit(self, table: Table, split: Split) -> tuple[Table, list[Change]]:
        """The table with too long clips cut and too short ones padded, and what was done."""
        lengths = np.nan_to_num(table.durations.astype(np.float64), nan=-1.0)
        long = (lengths > self.longest + SLACK) & (self.rules.too_long != "drop")
        short = (lengths >= 0) & (lengths < self.shortest) & (self.rules.too_short == "pad")
        if not long.any() and not short.any():
            return table, []
        plan = Plan(table, lengths)
        changes = []
        if short.any():
            for row in np.flatnonzero(short).tolist():
                plan.one(row, 0.0, self.shortest)
            what = f'padded with silence to {self.shortest:g} s, [filter] too_short = "pad"'
            changes.append(_change(split, what, table, short, int(short.sum()) * self.shortest, int(short.sum())))
        if self.rules.too_long == "crop" and long.any():
            for row in np.flatnonzero(long).tolist():
                plan.one(row, (lengths[row] - self.longest) / 2, self.longest)
            what = f'cut down to the {self.longest:g} s in their middle, [filter] too_long = "crop"'
            changes.append(_change(split, what, table, long, int(long.sum()) * self.longest, int(long.sum())))
        if self.rules.too_long == "chunk" and long.any():
            changes += self._chunked(plan, table, split, np.flatnonzero(long).tolist())
        return plan.table(self.normalize), changes

    def _chunked(self, plan: Plan, table: Table, split: Split, rows: list[int]) -> list[Change]:
        """Pieces for each row; one whose text has no segments stays whole, and is left out as too long."""
        done, lost, seconds, made = np.zeros(len(table), np.bool_), 0, 0.0, 0
        for row in rows:
            name = table.ids[row]
            if self.texts and table.texts[row] is not None:
                pieces, away = spoken_pieces(
                    json.loads(table.column("segments")[row] or "[]"), float(plan.durations[row]), self.longest
                )
                lost += away
                for number, (begin, end, text) in enumerate(pieces):
                    plan.piece(row, number, f"{name}@{begin:.2f}-{end:.2f}", begin, end - begin, text)
            else:
                count = int(np.ceil(plan.durations[row] / self.longest - SLACK / self.longest))
                length = float(plan.durations[row]) / count
                pieces = [(number * length, (number + 1) * length, "") for number in range(count)]
                for number, (begin, end, _) in enumerate(pieces):
                    plan.piece(row, number, f"{name}@{begin:.2f}-{end:.2f}", begin, length, None)
            done[row] = bool(pieces)
            made += len(pieces)
            seconds += sum(end - begin for begin, end, _ in pieces)
        if not done.any():
            return []
        noun = "segment" if lost == 1 else "segments"
        more = f"; {lost} {noun} of more than {self.longest:g} s left out" if lost else ""
        what = f'cut into {made} pieces of at most {self.longest:g} s, [filter] too_long = "chunk"{more}'
        return [_change(split, what, table, done, seconds, made)]


def lengths_of(rules: Filter, limits: Limits | None, *, texts: bool, text: TextRules) -> Lengths:
    """What a recipe asks; `texts`: whether transcripts are learned."""
    return Lengths(rules, limits, texts, normalizer(text))


def cut_splits(task: Any) -> tuple[Split, ...]:
    """The splits whose clips are cut and padded while a model of a task is trained: all, but where classes are learned
    the training split alone, because an evaluation hears a whole recording.
    """
    return ("train",) if getattr(task, "learns", "text") == "label" else SPLITS


def _change(split: Split, what: str, table: Table, rows: NDArray[np.bool_], after: float, made: int) -> Change:
    some = table.select(rows)
    names = tuple(str(name) for name in some.ids[:EXAMPLES])
    return Change(split, what, len(some), made, some.duration, after, names)
