"""A table and `[filter]` -> the rows that stay, and for each reason how many utterances and seconds went.

An utterance is counted once, under the first reason that applies, in the order of the checks below. The model's own
limits hold beside `[filter]`: what a network cannot process is never handed to it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import Limits, Split, Utterance
from voxcli.data.exclude import read_exclude
from voxcli.data.strings import characters
from voxcli.data.table import Table
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import Filter
from voxcli.text.vocabulary import outside

EXAMPLES = 5
_FIGURES = re.compile(r"\d+(\.\d+)?")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Drop:
    """Utterances that were left out for one reason."""

    split: Split
    reason: str
    """Names the key and its limit: "longer than [filter] max_duration = 30 s"."""
    count: int
    duration: float
    """Sum of their known durations, s."""
    examples: tuple[str, ...]
    """The first few ids."""
    key: str = ""
    """The recipe key that decided, for example "filter.max_duration"; "" where the audio or the model did."""

    def __str__(self) -> str:
        names = ", ".join(self.examples) + (", …" if self.count > len(self.examples) else "")
        noun = "utterance" if self.count == 1 else "utterances"
        return f"{self.split}: {self.count} {noun} ({self.duration:.1f} s) left out, {self.reason}: {names}"


@dataclass(frozen=True)
class Check:
    """One reason to leave utterances out: which ones, and which key says so."""

    key: str
    reason: str
    hit: Callable[[Table], Mask]
    detail: Callable[[Table], str] | None = None
    """What the utterances that were hit have in common."""


def apply(table: Table, split: Split, checks: list[Check]) -> tuple[Table, list[Drop]]:
    """The rows that no check hits, and what went, check by check."""
    drops = []
    for check in checks:
        if not len(table):
            break
        hit = check.hit(table)
        if not hit.any():
            continue
        gone = table.select(hit)
        reason = check.reason + (f": {check.detail(gone)}" if check.detail else "")
        examples = tuple(str(name) for name in gone.ids[:EXAMPLES])
        drops.append(Drop(split, reason, len(gone), gone.duration, examples, check.key))
        table = table.select(~hit)
    return table, drops


def checks_of(
    rules: Filter,
    *,
    limits: Limits | None = None,
    transcripts: bool = True,
    labels: bool = False,
    unicode_form: Literal["NFC", "NFKC", "NFD", "NFKD"] = "NFC",
) -> list[Check]:
    """The checks that `[filter]` and the model ask for. Raises `DataError` where `exclude` cannot be read."""
    return [
        *excluded(rules),
        Check("", "the audio cannot be used", _has_problem, _first_problem),
        *_named(rules),
        *([Check("", "no label", lambda table: _mask(pc.is_null(table.column("label").array)))] if labels else []),
        *_texts(rules, transcripts, unicode_form),
        *durations(rules, limits),
    ]


def refused(
    table: Table,
    split: Split,
    problem: Callable[[Utterance], str | None],
    *,
    candidates: Callable[[Table], Mask] | None = None,
    progress: Progress = NULL,
) -> tuple[Table, list[Drop]]:
    """Leave out what a task refuses: `problem` says why, or None. Reasons that differ in their figures are one.

    `candidates`: which rows have to be asked about, where a task can tell for all at once (`Task.candidates`).
    """
    asked = np.arange(len(table)) if candidates is None else np.flatnonzero(candidates(table))
    reasons: dict[str, tuple[str, list[int]]] = {}
    with progress.task("checking against the model", total=len(table), unit="utterances") as bar:
        bar.advance(len(table) - len(asked))
        for row in asked.tolist():
            if why := problem(table.utterance(row)):
                reasons.setdefault(_FIGURES.sub("0", why), (why, []))[1].append(row)
            bar.advance(1)
    drops = []
    for why, rows in reasons.values():
        gone = table.select(rows)
        why += f" (the first of {len(rows)})" if len(rows) > 1 else ""
        drops.append(Drop(split, why, len(gone), gone.duration, tuple(str(name) for name in gone.ids[:EXAMPLES])))
    kept = np.ones(len(table), dtype=np.bool_)
    kept[[row for _, rows in reasons.values() for row in rows]] = False
    return table.select(kept), drops


def excluded(rules: Filter) -> list[Check]:
    """The check of what `[filter] exclude` leaves out of every split. Raises `DataError` where it cannot be read."""
    return [_listed_in(rules, read_exclude(rules.exclude).everywhere)] if rules.exclude is not None else []


def excluded_of_split(rules: Filter, split: Split) -> list[Check]:
    """The check of what `[filter] exclude` leaves out of one split only; made after `[holdout]` has cut the splits."""
    ids = read_exclude(rules.exclude).of_split.get(split) if rules.exclude is not None else None
    return [_listed_in(rules, ids)] if ids else []


def _listed_in(rules: Filter, ids: Iterable[str]) -> Check:
    excluded = _strings(ids)
    return Check(
        "filter.exclude",
        f"named in [filter] exclude = {rules.exclude!r}",
        lambda table: _mask(pc.is_in(table.ids.array, value_set=excluded)),
    )


def _named(rules: Filter) -> Iterator[Check]:
    if rules.languages is not None:
        wanted = _strings(rules.languages)

        def other(table: Table) -> Mask:
            languages = table.column("language").array
            return _mask(pc.and_(pc.is_valid(languages), pc.invert(pc.is_in(languages, value_set=wanted))))

        yield Check("filter.languages", f"of another language than [filter] languages = {list(rules.languages)}", other)


def _texts(rules: Filter, transcripts: bool, form: Literal["NFC", "NFKC", "NFD", "NFKD"]) -> Iterator[Check]:
    if transcripts:
        yield Check("", "no transcript", lambda table: _mask(pc.is_null(table.texts.array)))
    if rules.min_characters > (0 if transcripts else 1):
        least = rules.min_characters
        limit = f"[filter] min_characters = {least}"
        reason = f"no text after [text], {limit}" if least == 1 else f"text shorter than {limit}"
        yield Check("filter.min_characters", reason, lambda table: _lengths(table, missing=least) < least)
    if rules.max_characters is not None:
        most = rules.max_characters
        reason = f"text longer than [filter] max_characters = {most}"
        yield Check("filter.max_characters", reason, lambda table: _lengths(table) > most)
    if rules.max_characters_per_second is not None:
        rate = rules.max_characters_per_second
        yield Check(
            "filter.max_characters_per_second",
            f"more text than [filter] max_characters_per_second = {rate:g}",
            lambda table: _lengths(table) > rate * table.durations.astype(np.float64),
        )
    if rules.allowed_characters is not None:
        allowed = frozenset(unicodedata.normalize(form, rules.allowed_characters)) | {" "}
        yield Check(
            "filter.allowed_characters",
            f"a character outside [filter] allowed_characters = {rules.allowed_characters!r}",
            lambda table: np.fromiter((not allowed.issuperset(text or "") for text in table.texts), np.bool_),
            lambda gone: _listed(gone, allowed),
        )


def durations(rules: Filter, limits: Limits | None) -> Iterator[Check]:
    """The checks of what is too short or too long."""
    if rules.min_duration is not None:
        least = rules.min_duration
        reason = f"shorter than [filter] min_duration = {least:g} s"
        yield Check("filter.min_duration", reason, lambda table: table.durations < np.float32(least))
    if rules.max_duration is not None:
        most = rules.max_duration
        reason = f"longer than [filter] max_duration = {most:g} s"
        yield Check("filter.max_duration", reason, lambda table: table.durations > np.float32(most))
    if limits is not None:
        shortest, longest = limits.min_duration, limits.max_duration
        reason = f"shorter than the {shortest:g} s that the model needs"
        yield Check("", reason, lambda table: table.durations < np.float32(shortest))
        reason = f"longer than the {longest:g} s that the model takes in one piece"
        yield Check("", reason, lambda table: table.durations > np.float32(longest))


def _has_problem(table: Table) -> Mask:
    return _mask(pc.is_valid(table.column("problem").array)) | ~np.isfinite(table.durations)


def _first_problem(gone: Table) -> str:
    """What is wrong with the first of them; the others are in culprits.jsonl."""
    named = f" (the first of {len(gone)})" if len(gone) > 1 else ""
    return f"{gone.column('problem')[0] or 'its duration is not known'}{named}"


def _lengths(table: Table, *, missing: int = 0) -> NDArray[np.int64]:
    """Characters of each text, `missing` where there is none. Shape (rows,)."""
    return np.asarray(pc.fill_null(pc.utf8_length(table.texts.array), missing).to_numpy(), dtype=np.int64)


def _listed(gone: Table, allowed: frozenset[str]) -> str:
    found = outside("".join(allowed), characters(gone.texts.array))
    shown = [f"{character} ({count})" for character, count in list(found.items())[:10]]
    return " ".join(shown) + (" …" if len(found) > 10 else "")


def _strings(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), type=pa.string())


def _mask(column: pa.ChunkedArray) -> Mask:
    return np.asarray(column.to_numpy(), dtype=np.bool_)
