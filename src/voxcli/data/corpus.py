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
from voxcli.data import windows
from voxcli.data.exclude import read_exclude
from voxcli.data.filters import Check, Drop, apply, checks_of, excluded_of_split
from voxcli.data.holdout import Hashes, divide, quick_hashes, speaker_hashes, text_hashes
from voxcli.data.index import index
from voxcli.data.lengths import Change, lengths_of
from voxcli.data.overlap import overlaps
from voxcli.data.strata import label_places
from voxcli.data.strings import characters, different
from voxcli.data.table import Table, join
from voxcli.errors import DataError
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import Filter, Holdout, TextRules
from voxcli.text.normalize import normalizer
from voxcli.text.vocabulary import outside

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
    """
    rules, shares = text or TextRules(), holdout or Holdout()
    checks = checks_of(
        filter or Filter(), limits=limits, transcripts=transcripts, labels=labels, unicode_form=rules.unicode_form
    )
    lengths = lengths_of(filter or Filter(), limits, texts=transcripts, text=rules)
    reader = _Reader(datasets, rules, lengths.before(checks), progress, listed or {})
    tables = {name: reader.table(name) for name in splits}
    hashes: dict[Split, Hashes] = {}
    made: list[Split] = [
        name for name in ("validation", "test") if getattr(shares, name) > 0 and not reader.exists(name)
    ]
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
                reader.findings.append(_few_texts(name, texts, int(chosen.sum()), len(whole)))
    for name in splits:
        tables[name], gone = apply(tables[name], name, excluded_of_split(filter or Filter(), name))
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
        raise _nothing_left(reader.drops)
    filled = [name for name in SPLITS if len(tables.get(name, ()))]
    if len(filled) > 1 and not labels:  # a class is said again and again
        hashed = text_hashes if hashes else quick_hashes
        hashes |= {name: hashed(tables[name], progress=progress) for name in filled if name not in hashes}
        reader.findings += overlaps(tables, hashes)
    if filter is not None and filter.exclude and set(splits) == set(SPLITS):
        reader.findings += reader.not_found(filter.exclude)
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
        checks: list[Check],
        progress: Progress,
        listed: Mapping[Split, Table],
    ) -> None:
        self._datasets, self._rules, self._checks, self._progress = datasets, rules, checks, progress
        self._listed = listed
        self._exists: dict[Split, bool] = {}
        self.drops: list[Drop] = []
        self.problems: list[tuple[Split, str, str]] = []
        self.findings: list[Finding] = []
        self.excluded = 0

    def exists(self, split: Split) -> bool:
        """Whether any data set has rows of a split."""
        if split not in self._exists:
            self._exists[split] = any(
                len(index(dataset, split, progress=self._progress))
                for dataset in self._datasets
                if _has(dataset, split)
            )
        return self._exists[split]

    def table(self, split: Split) -> Table:
        """A split of all data sets, filtered."""
        table = self._listed.get(split)
        if table is None:
            table = list_split(self._datasets, split, self._rules, progress=self._progress)
        self._exists[split] = len(table) > 0
        named = [check for check in self._checks if check.key == "filter.exclude"]
        table, left_out = apply(table, split, named)
        wrong = table.select(np.asarray(pc.is_valid(table.column("problem").array).to_numpy(), dtype=np.bool_))
        names = zip(wrong.ids[:_PROBLEMS], wrong.column("problem")[:_PROBLEMS], strict=True)
        self.problems += [(split, str(name), str(problem)) for name, problem in names]
        table, drops = apply(table, split, [check for check in self._checks if check not in named])
        self.drops += [*left_out, *drops]
        return table

    def not_found(self, exclude: str) -> list[Finding]:
        """A warning where ids to exclude stand in no split."""
        wanted = len(read_exclude(exclude))
        found = sum(drop.count for drop in self.drops if drop.key == "filter.exclude")
        if found >= wanted:
            return []
        message = f"{wanted - found} of {wanted} ids in [filter] exclude = {exclude!r} stand in no split"
        help = "ids are those that `vox train RECIPE --dry-run` and the result files show"
        return [Finding("warning", message, help, path=("filter", "exclude"))]


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


def _few_texts(name: str, texts: int, utterances: int, whole: int) -> Finding:
    noun = "different text" if texts == 1 else "different texts"
    return Finding(
        "warning",
        f"[holdout] {name} took {utterances} of {whole} utterances with {texts} {noun}",
        "equal texts stay together, so few texts make a poor share; give the data a split of their own",
        path=("holdout", name),
    )


def _nothing_left(drops: list[Drop]) -> DataError:
    gone = [drop for drop in drops if drop.split == "train"]
    if not gone:
        return DataError("the training split is empty: no data set has utterances for it", help="check [[data]]")
    return DataError(
        "nothing is left of the training split",
        help="; ".join(f"{drop.count} left out, {drop.reason} (for example {drop.examples[0]})" for drop in gone),
    )
