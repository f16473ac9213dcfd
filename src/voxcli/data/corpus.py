"""Data sets, `[filter]`, `[text]`, `[holdout]` and the model's limits -> the three splits a run works on.

Each data set and split is indexed, its transcripts go through `[text]`, `[filter]` leaves out what it names,
`[holdout]` makes the splits that the data do not have. What went is counted by reason; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voxcli.api import SPLITS, Corpus, Dataset, Finding, Limits, Split
from voxcli.data import known_splits, windows
from voxcli.data.filters import Check, Drop, apply, checks_of, excluded_of_split
from voxcli.data.holdout import Hashes, divide, quick_hashes, speaker_hashes, text_hashes
from voxcli.data.index import index
from voxcli.data.lengths import Change, Lengths, lengths_of
from voxcli.data.overlap import overlaps
from voxcli.data.remarks import few_texts, not_found, nothing_left
from voxcli.data.strata import label_places
from voxcli.data.strings import characters, different
from voxcli.data.table import Table, join
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import Filter, Holdout, TextRules
from voxcli.text.normalize import normalizer
from voxcli.text.vocabulary import outside

MADE: tuple[Split, ...] = ("validation", "test")
"""Splits that `[holdout]` can make."""
_FEW_TEXTS = 5  # a share of fewer measures those sentences, not the model
_PROBLEMS = 10_000  # utterances that are named one by one; beyond, the data set as a whole is wrong


@dataclass(frozen=True)
class Splits:
    """What a run trains on, chooses by and is measured on. A split not asked for, or not there, is empty."""

    train: Table
    validation: Table
    test: Table
    corpus: Corpus
    """Of the training split, after everything."""
    drops: list[Drop] = field(default_factory=list)
    """What was left out, split by split, reason by reason."""
    problems: list[tuple[Split, str, str]] = field(default_factory=list)
    """(split, id, what is wrong) of utterances whose audio cannot be used."""
    unknown_characters: dict[Split, dict[str, int]] = field(default_factory=dict)
    """Characters of validation and test that the training split lacks, with counts, the most frequent first."""
    findings: list[Finding] = field(default_factory=list)
    """Texts on both sides of a split, ids to exclude that do not exist, shares that came out empty."""
    changes: list[Change] = field(default_factory=list)
    """What was cut or padded, split by split."""

    def split(self, name: Split) -> Table:
        """The table of a split."""
        table: Table = getattr(self, name)
        return table

    def report(self) -> list[str]:
        """Lines to show: what each split holds, what was left out, what stands out."""
        lines = []
        for name in SPLITS:
            table = self.split(name)
            if len(table):
                lines.append(f"{name}: {len(table)} utterances, {clock(table.duration)}")
            lines += [f"  {change}" for change in self.changes if change.split == name]
            lines += [f"  {drop}" for drop in self.drops if drop.split == name]
            if unknown := self.unknown_characters.get(name):
                shown = " ".join(f"{character} ({count})" for character, count in list(unknown.items())[:10])
                lines.append(f"  {name}: characters that the training split lacks: {shown}")
        return lines + [f"{finding.level}: {finding.message}" for finding in self.findings]


def load_splits(
    datasets: Sequence[Dataset],
    filter: Filter | None = None,
    text: TextRules | None = None,
    holdout: Holdout | None = None,
    *,
    limits: Limits | None = None,
    splits: Sequence[Split] = SPLITS,
    transcripts: bool = True,
    labels: bool = False,
    cut: Sequence[Split] = (),
    listed: Mapping[Split, Table] | None = None,
    progress: Progress = NULL,
) -> Splits:
    """The asked-for splits of all data sets together, in the recipe's order.

    `limits`: what the model takes; None leaves long and short clips in. `transcripts`: whether an utterance without
    text is of no use; `labels`: whether one without a label is. `cut`: splits whose clips become as long as
    `too_long` and `too_short` of `[filter]` say; in the others, clips that would be cut or padded stay as they are.
    Which utterances a holdout takes does not depend on `splits`. `listed`: what `list_split` has returned for some of
    them, so that they are not read again. Raises `DataError` where a source or the `exclude` file cannot be read, and
    where "train" is asked for and nothing is left of it.

    What has been found in large indexes is kept, and found again (`voxcli.data.known_splits`).
    """
    filter, rules, shares = filter or Filter(), text or TextRules(), holdout or Holdout()
    reader = _Reader(datasets, rules, progress, listed or {})
    for split in splits:
        reader.whole(split)
    made = tuple(name for name in MADE if getattr(shares, name) > 0 and not reader.exists(name))
    if set(made) & set(splits):
        reader.whole("train")
    size = limits and (limits.min_duration, limits.max_duration)
    asked = (filter, rules, shares, made, size, tuple(splits), transcripts, labels, tuple(cut))
    name = known_splits.name_of(reader.read, *asked, exclude=filter.exclude)
    known = None if name is None else known_splits.read(name, reader.read)
    if known is not None:
        empty = join([], normalize=str)
        return Splits(**{"train": empty, "validation": empty, "test": empty, **known})
    checks = checks_of(filter, limits=limits, transcripts=transcripts, labels=labels, unicode_form=rules.unicode_form)
    lengths = lengths_of(filter, limits, texts=transcripts, text=rules)
    reader.checks = lengths.before(checks)
    found = _divided(reader, filter, shares, made, lengths, splits=splits, labels=labels, cut=cut, progress=progress)
    if name is not None:
        known_splits.write(name, found, reader.read)
    return found


def _divided(
    reader: _Reader,
    filter: Filter,
    shares: Holdout,
    made: Sequence[Split],
    lengths: Lengths,
    *,
    splits: Sequence[Split],
    labels: bool,
    cut: Sequence[Split],
    progress: Progress,
) -> Splits:
    """What is left of the splits that a reader has read; `made` are those that `[holdout]` makes."""
    tables = {name: reader.table(name) for name in splits}
    hashes: dict[Split, Hashes] = {}
    if made and ("train" in splits or set(made) & set(splits)):
        whole = tables["train"] if "train" in tables else reader.table("train")
        said = label_places(whole) if labels else text_hashes(whole, progress=progress)
        key = speaker_hashes(whole, said) if shares.speakers_apart else said
        division = divide(key, Holdout(**{name: getattr(shares, name) for name in made}))
        for name in ("train", *made):
            chosen = getattr(division, name)
            if name in splits:
                tables[name], hashes[name] = whole.select(chosen), said[chosen]
            if name != "train" and len(whole) and not labels and (texts := different(said[chosen])) < _FEW_TEXTS:
                reader.findings.append(few_texts(name, texts, int(chosen.sum()), len(whole)))
    for name in splits:
        tables[name], gone = apply(tables[name], name, excluded_of_split(filter, name))
        if gone:
            reader.drops += gone
            hashes.pop(name, None)
    changes: list[Change] = []
    if lengths.asked:
        for name in splits:
            tables[name], changed, gone = lengths.apply(tables[name], name, cut=name in cut)
            changes += changed
            reader.drops += gone
            if changed or gone:
                hashes.pop(name, None)
    if "train" in splits and not len(tables["train"]):
        raise nothing_left(reader.drops)
    filled = [name for name in SPLITS if len(tables.get(name, ()))]
    if len(filled) > 1 and not labels:  # a class is said again and again
        hashed = text_hashes if hashes else quick_hashes
        hashes |= {name: hashed(tables[name], progress=progress) for name in filled if name not in hashes}
        reader.findings += overlaps(tables, hashes)
    if filter.exclude and set(splits) == set(SPLITS):
        reader.findings += not_found(filter.exclude, reader.drops)
    empty = join([], normalize=str)
    corpus = _corpus(tables.get("train", empty))
    pa.default_memory_pool().release_unused()  # what texts were compared in
    return Splits(
        train=tables.get("train", empty),
        validation=tables.get("validation", empty),
        test=tables.get("test", empty),
        corpus=corpus,
        drops=[drop for drop in reader.drops if drop.split in splits],
        problems=[problem for problem in reader.problems if problem[0] in splits],
        unknown_characters=_unknown(tables, corpus) if "train" in tables else {},
        findings=reader.findings,
        changes=changes,
    )


def list_split(
    datasets: Sequence[Dataset], split: Split, text: TextRules | None = None, *, progress: Progress = NULL
) -> Table:
    """Every row of a split in all data sets, its transcript after `[text]`, nothing left out; of streams that training
    reads as they come, the first rows. Raises `DataError`.
    """
    if split == "train" and windows.is_live(datasets):
        return windows.sample(datasets, text or TextRules())
    numbers = [number for number, dataset in enumerate(datasets) if _has(dataset, split)]
    found = [index(datasets[number], split, progress=progress) for number in numbers]
    return join(found, normalize=normalizer(text or TextRules()), numbers=numbers, progress=progress)


class _Reader:
    """Reads split after split and keeps what was said about them."""

    def __init__(
        self,
        datasets: Sequence[Dataset],
        rules: TextRules,
        progress: Progress,
        listed: Mapping[Split, Table],
    ) -> None:
        self._datasets, self._rules, self._progress, self._listed = datasets, rules, progress, listed
        self.read: dict[Split, Table] = {}
        """Every row of the splits that were asked for."""
        self.checks: list[Check] = []
        """What leaves rows out of them."""
        self.drops: list[Drop] = []
        self.problems: list[tuple[Split, str, str]] = []
        self.findings: list[Finding] = []
        self.excluded = 0

    def exists(self, split: Split) -> bool:
        """Whether any data set has rows of a split."""
        if split in self.read:
            return len(self.read[split]) > 0
        present = (dataset for dataset in self._datasets if _has(dataset, split))
        return any(len(index(dataset, split, progress=self._progress)) for dataset in present)

    def whole(self, split: Split) -> Table:
        """Every row of a split of all data sets."""
        if split not in self.read:
            table = self._listed.get(split)
            if table is None:
                table = list_split(self._datasets, split, self._rules, progress=self._progress)
            self.read[split] = table
        return self.read[split]

    def table(self, split: Split) -> Table:
        """A split of all data sets, filtered."""
        named = [check for check in self.checks if check.key == "filter.exclude"]
        table, left_out = apply(self.whole(split), split, named)
        wrong = table.select(np.asarray(pc.is_valid(table.column("problem").array).to_numpy(), dtype=np.bool_))
        names = zip(wrong.ids[:_PROBLEMS], wrong.column("problem")[:_PROBLEMS], strict=True)
        self.problems += [(split, str(name), str(problem)) for name, problem in names]
        table, drops = apply(table, split, [check for check in self.checks if check not in named])
        self.drops += [*left_out, *drops]
        return table


def clock(seconds: float) -> str:
    """Seconds as people read them: "48 s", "12.5 min", "31.2 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _has(dataset: Dataset, split: Split) -> bool:
    present = getattr(dataset, "splits_present", None)
    return True if present is None else split in present()


def _corpus(train: Table) -> Corpus:
    counts = pc.value_counts(train.column("label").array.drop_null())
    labels = dict(sorted(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))
    said = "".join(characters(train.texts.array))
    return Corpus(said, tuple(labels), len(train), train.duration, tuple(labels.values()))


def _unknown(tables: dict[Split, Table], corpus: Corpus) -> dict[Split, dict[str, int]]:
    found: dict[Split, dict[str, int]] = {}
    for name in ("validation", "test"):
        if name in tables and (unknown := outside(corpus.characters, characters(tables[name].texts.array))):
            found[name] = unknown
    return found
