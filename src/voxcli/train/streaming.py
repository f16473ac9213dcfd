"""A run on streamed data: its windows as tables and batches, and what a recipe with streams cannot ask for."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Corpus, Limits
from voxcli.data.batches import DurationBatches
from voxcli.data.corpus import Splits, load_splits
from voxcli.data.lengths import cut_splits
from voxcli.data.table import Table
from voxcli.data.windows import Windows, is_live
from voxcli.errors import DataError, RecipeError
from voxcli.recipe.resolve import Recipe
from voxcli.train.reading import batching_of, limits_of, usable

if TYPE_CHECKING:
    from voxcli.train.run import Run

KEPT = 3  # windows whose tables are held: the one before, because a step may be looked at again; this one; the next
EMPTY = 10  # windows in a row without a usable utterance, after which the data are to blame
LOG = "stream.jsonl"
TAKE = "take = 10000 in that [[data]] table keeps so many rows, which can be listed, split and counted"


def check(recipe: Recipe) -> bool:
    """Whether the recipe reads streams. Raises `RecipeError` for what streams do not have."""
    if not is_live(recipe.data):
        return False
    if recipe.train.max_steps is None:
        raise RecipeError(
            "a stream has no epochs that could be counted, and the run has no max_steps", help="train.max_steps = 10000"
        )
    if recipe.holdout.validation or recipe.holdout.test:
        raise RecipeError(
            "[holdout] cannot cut splits out of a stream: its rows are not known",
            help=f"name a part for validation in [[data]] splits, or add a data set that has one; {TAKE}",
        )
    return True


def unread(corpus: Corpus) -> Corpus:
    """The corpus of a stream: its characters and labels are not known, and a model that asks for them is refused."""
    made: Any = _Unread(corpus)
    return made


class _Unread:
    """Stands for a `Corpus`."""

    def __init__(self, corpus: Corpus) -> None:
        self.n_utterances, self.duration = corpus.n_utterances, corpus.duration

    @property
    def characters(self) -> str:
        """Raises `RecipeError`."""
        raise RecipeError(
            "the vocabulary is to be that of the data, and a stream is not known before it is read",
            help=f"set [model] vocabulary to the characters, or take a checkpoint that has them; {TAKE}",
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Raises `RecipeError`."""
        raise RecipeError(
            "the classes are to be those of the data, and a stream is not known before it is read",
            help=f'set [model] labels = ["…", "…"]; {TAKE}',
        )

    @property
    def label_counts(self) -> tuple[int, ...]:
        """Raises `RecipeError`."""
        raise RecipeError(
            "how frequent classes are is not known of a stream", help='class_weights = "none", or a table of them'
        )


class Stream:
    """The windows of one run: filtered, and cut into batches."""

    def __init__(self, recipe: Recipe, limits: Limits, bundle: Bundle, folder: Path, *, rank: int = 0) -> None:
        self._recipe, self._limits, self._rank = recipe, limits, rank
        self._bundle = bundle.replace(model=None)
        self._windows = Windows(
            recipe.data, recipe.weights, recipe.text, seed=recipe.seed, owner=str(folder.absolute())
        )
        self._log = folder / LOG
        self._tables: dict[int, Splits | None] = {}
        self._batches: dict[int, DurationBatches] = {}
        self._lock = threading.RLock()

    def table(self, window: int) -> Table:
        """The usable utterances of a window."""
        splits = self._splits(window)
        return splits.train if splits is not None else self._windows.raw(window).select([])

    def batching(self, window: int) -> DurationBatches | None:
        """Its batches; None where no utterance of it can be used."""
        splits = self._splits(window)
        if splits is None:
            return None
        if window not in self._batches:
            every = dataclasses.replace(self._recipe, weights=())  # the window has been mixed already
            self._batches[window] = batching_of(every, self._limits, splits)
        return self._batches[window]

    def start(self, window: int) -> list[dict[str, Any]]:
        """For a checkpoint: where each data set stands at the beginning of a window."""
        return self._windows.start(window)

    def seek(self, window: int, start: list[dict[str, Any]]) -> None:
        """Go on where a checkpoint stood."""
        if start:
            self._windows.seek(window, start)

    def close(self) -> None:
        """Remove what was kept of the stream; the run is over."""
        for window in list(self._tables):
            self._windows.forget(window)

    def _splits(self, window: int) -> Splits | None:
        if window not in self._tables:  # what is there is given at once, also while the next one is read
            with self._lock:
                self._fill(window)
        return self._tables[window]

    def _fill(self, window: int) -> None:
        if window not in self._tables:
            begin = time.perf_counter()
            table = self._windows.raw(window)
            waited = time.perf_counter() - begin
            self._tables[window] = self._filtered(table, window, waited)
            self._windows.ahead(window + 1)
            for old in [one for one in self._tables if one <= window - KEPT]:
                self._tables.pop(old)
                self._batches.pop(old, None)
                self._windows.forget(old)
            if len(self._tables) > 1 and not any(self._tables.values()) and window >= EMPTY:
                raise DataError(
                    f"no row of {KEPT} windows of the stream can be used",
                    help="see stream.jsonl for what leaves them out",
                )

    def _filtered(self, table: Table, window: int, waited: float) -> Splits | None:
        recipe = self._recipe
        entry: dict[str, Any] = {"window": window, "rows": len(table), "seconds": round(table.duration, 3)}
        entry["waited"] = round(waited, 3)
        splits: Splits | None = None
        try:
            splits = load_splits(
                recipe.data,
                recipe.filter,
                recipe.text,
                limits=limits_of(recipe, self._limits),
                splits=("train",),
                labels=getattr(recipe.task, "learns", "text") == "label",
                transcripts=getattr(recipe.task, "transcripts", True),
                cut=cut_splits(recipe.task),
                listed={"train": table},
            )
            splits = usable(splits, recipe, self._limits, self._bundle)
        except DataError as error:
            entry["error"] = error.message
        if splits is not None:
            entry["kept"] = len(splits.train)
            entry["dropped"] = {drop.reason: drop.count for drop in splits.drops}
        if self._rank == 0 and self._log.parent.is_dir():
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        return splits


def stream_of(run: Run) -> Stream:
    """The stream of a prepared run, standing where the run stands."""
    made = Stream(run.recipe, run.limits, run.bundle, run.folder, rank=run.rank)
    made.seek(run.state.epoch, run.state.stream)
    return made
