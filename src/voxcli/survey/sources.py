"""What an argument of `vox data` names -> its splits as tables."""

from __future__ import annotations

from dataclasses import dataclass

from voxcli.api import SPLITS, Dataset, Split
from voxcli.data.corpus import list_split, load_splits
from voxcli.data.filters import apply, excluded, excluded_of_split
from voxcli.data.table import Table
from voxcli.data.windows import only_first
from voxcli.errors import DataError
from voxcli.evaluate.target import Target, run_of, target
from voxcli.progress import NULL, Progress


@dataclass(frozen=True)
class Source:
    """A recipe, a manifest, a folder or a run: what it is called and the rows it lists."""

    target: Target
    listed: dict[Split, Table]
    """Every row of each split that has some, texts after `[text]`, before any filter."""

    @property
    def name(self) -> str:
        """Short, for headings and files."""
        return self.target.name

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """In the recipe's order."""
        return self.target.datasets

    @property
    def known(self) -> dict[Split, Table]:
        """`listed` without what `[filter] exclude` names already."""
        filter, left = self.target.filter, {}
        for split, table in self.listed.items():
            checks = [*excluded(filter), *(() if self.holds_out else excluded_of_split(filter, split))]
            left[split] = apply(table, split, checks)[0]
        return left

    @property
    def holds_out(self) -> bool:
        """Whether a row's split is decided by `[holdout]`, later."""
        return bool(self.target.holdout.validation or self.target.holdout.test)

    def used(self, *, progress: Progress = NULL) -> tuple[dict[Split, Table], list[str]]:
        """What a run works on, after `[filter]` and `[holdout]` and whatever the model takes; and what was left out."""
        made = self.target.holdout
        splits = [
            name for name in SPLITS if name in self.listed or ("train" in self.listed and getattr(made, name, 0) > 0)
        ]
        found = load_splits(
            self.datasets,
            self.target.filter,
            self.target.text,
            made,
            limits=None,
            splits=splits,
            transcripts=False,
            listed=self.listed,
            progress=progress,
        )
        notes = [
            *only_first(self.datasets, "train"),
            *map(str, found.drops),
            *(f"{one.level}: {one.message}" for one in found.findings),
        ]
        return {name: found.split(name) for name in splits if len(found.split(name))}, notes


def source(argument: str, *, progress: Progress = NULL) -> Source:
    """Open what an argument names; a run's folder stands for its recipe.

    Raises `UsageError` where there is nothing of that name, `RecipeError` for a broken recipe, `DataError` where the
    data cannot be read or have no utterance.
    """
    of = target(argument, run_of(None), option="")
    listed = {split: list_split(of.datasets, split, of.text, progress=progress) for split in SPLITS}
    filled = {split: table for split, table in listed.items() if len(table)}
    if not filled:
        raise DataError(
            f"{of.name} has no utterance in any split",
            help="a table names one recording a row, and its split column says train, validation or test",
        )
    return Source(of, filled)
