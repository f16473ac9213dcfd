"""A recipe's utterances as its data sets list them, and as a run would use them.

All rows of a split stand in one `Table` whose columns are memory-mapped Arrow: look at columns, not at utterances one
by one, wherever a split may hold a million.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.api import SPLITS, Dataset, Split
from voxcli.data.corpus import Splits, list_split, load_splits
from voxcli.data.filters import apply, checks_of, excluded, excluded_of_split
from voxcli.data.lengths import cut_splits
from voxcli.data.table import Table
from voxcli.doctor.data.rows import named
from voxcli.doctor.leave_out import beside
from voxcli.recipe.schema import Filter, Holdout, TextRules
from voxcli.text.codepoints import CodePoints
from voxcli.train.reading import cuts_long_clips

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.recipe.resolve import Recipe


@dataclass
class Data:
    """The three splits, before and after `[filter]`."""

    datasets: Sequence[Dataset]
    text: TextRules
    filter: Filter
    holdout: Holdout
    context: Context
    transcripts: bool = True
    """Whether an utterance without text is of no use."""
    labels: bool = False
    """Whether one without a label is."""
    cut: bool = False
    """Whether clips beyond the model's window are cut, and not left out."""
    fitted: tuple[Split, ...] = SPLITS
    """Splits whose clips are cut and padded as `[filter]` says."""
    read: dict[Split, Table] = field(default_factory=dict, repr=False)
    """Every row of the splits that a check has asked for."""

    def listed(self, split: Split) -> Table:
        """Every row of a split but those that `[filter] exclude` names, which somebody knows about already; `texts` are
        after `[text]`, `originals` before, and the column "problem" says why a row's audio cannot be used.
        """

        def left() -> Table:
            cut = bool(self.holdout.validation or self.holdout.test)  # then a row's split is not decided here
            checks = [*excluded(self.filter), *(() if cut else excluded_of_split(self.filter, split))]
            return apply(self.whole(split), split, checks)[0]

        return self.context._once(f"data {split}", left)

    def whole(self, split: Split) -> Table:
        """Every row of a split."""
        if split not in self.read:
            self.read[split] = list_split(self.datasets, split, self.text, progress=self.context.progress)
        return self.read[split]

    @property
    def splits(self) -> Splits:
        """What a run works on: after `[filter]`, `[holdout]` and the model's limits where a model is known.

        Ends the check where nothing is left of the training split, which is then a finding.
        """
        from voxcli.doctor.context import Unavailable

        def loaded() -> Splits:
            try:
                limits = self.context.limits
            except Unavailable:
                limits = None
            if limits is not None and self.cut:
                limits = dataclasses.replace(limits, max_duration=math.inf)
            return load_splits(
                self.datasets,
                self.filter,
                self.text,
                self.holdout,
                limits=limits,
                transcripts=self.transcripts,
                cut=self.fitted,
                labels=self.labels,
                listed={split: self.whole(split) for split in SPLITS},
                progress=self.context.progress,
            )

        return self.context._once("splits", loaded)

    def kept(self, split: Split) -> Table:
        """What `[filter]` keeps of `listed`, whatever the model can take and before `[holdout]`."""

        def left() -> Table:
            form = self.text.unicode_form
            checks = checks_of(
                self.filter, limits=None, transcripts=self.transcripts, labels=self.labels, unicode_form=form
            )
            return apply(self.listed(split), split, checks)[0]

        return self.context._once(f"data {split} kept", left)

    def used(self, split: Split) -> Table:
        """What a run works on: a split of `splits`."""
        return self.splits.split(split)

    @property
    def filled(self) -> tuple[Split, ...]:
        """The splits that a run works on and that have utterances."""
        return tuple(split for split in SPLITS if len(self.used(split)))

    def leave_out(self, split: Split, table: Table, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> tuple[str, ...]:
        """Lines for `[filter] exclude` that take some rows of a split out; their ids alone, where no other split has
        one of them.
        """
        ids = named(table, chosen)
        if self.holdout.validation or self.holdout.test:  # a row's split is decided later
            return ids
        wanted = pa.array(ids, type=pa.string())
        elsewhere = (self.whole(other).ids.array for other in SPLITS if other != split)
        if any(pc.any(pc.is_in(one, value_set=wanted)).as_py() for one in elsewhere):
            return tuple(f"{name}\t{split}" for name in ids)
        return ids

    def characters(self, split: Split) -> CodePoints:
        """The characters of the texts of `used`, after `[text]`."""
        return self.context._once(f"characters {split}", lambda: CodePoints(self.used(split).texts.array))

    def characters_before(self, split: Split) -> CodePoints:
        """The characters of the texts of `used`, before `[text]`."""
        return self.context._once(f"characters of {split}", lambda: CodePoints(self.used(split).originals.array))


def of_recipe(recipe: Recipe, context: Context) -> Data:
    """The data of a recipe."""
    spoken = getattr(recipe.task, "transcripts", True)
    made = Data(recipe.data, recipe.text, recipe.filter, recipe.holdout, context, transcripts=spoken)
    made.labels, made.cut = getattr(recipe.task, "learns", "text") == "label", cuts_long_clips(recipe)
    made.fitted = cut_splits(recipe.task)
    return made


def of_folder(path: Path, context: Context) -> Data:
    """A manifest, or a folder that some data set reads, without what the list beside it leaves out.

    Raises `DataError` where no data set reads it.
    """
    from voxcli.plugins.manager import manager
    from voxcli.recipe.look import look

    looked = look(path, manager().registry)
    table = dict(looked.table)
    dataset = manager().registry.load("dataset", table.pop("type"))(**table)
    listed = beside(path)
    filter = Filter(exclude=str(listed) if listed.is_file() else None)
    return Data((dataset,), TextRules(), filter, Holdout(), context, transcripts=looked.with_text > 0)
