"""Streamed data sets -> windows of some rows each, one after the other: each is an epoch of its own to the loop.

A window is written to voxcli's cache as it is read, and removed when training is two windows further. Within it the
rows are batched by duration and shuffled as those of any split are; durations are known once it is read. The next one
is read meanwhile. Where a window begins is kept in checkpoints, so that a resumed run reads on from there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.api import Dataset, Split, Utterance
from voxcli.data.cache import places, scratch, settle
from voxcli.data.index import IndexTable, index
from voxcli.data.listing import list_utterances
from voxcli.data.measure import measure
from voxcli.data.table import Table, join
from voxcli.errors import DataError
from voxcli.recipe.schema import TextRules
from voxcli.text.normalize import normalizer

log = logging.getLogger(__name__)

Position = dict[str, Any]
SPLIT: Split = "train"
BEGINNING: Position = {"pass": 0, "part": 0, "row": 0, "state": None}
WAIT = 0.2  # s between two looks for what another process is reading
WAITED = 600.0  # s after which it is read here too


def is_live(datasets: Sequence[Dataset]) -> bool:
    """Whether a data set is one that training reads as it comes."""
    return any(getattr(dataset, "live", False) for dataset in datasets)


def size_of(datasets: Sequence[Dataset]) -> int | None:
    """Rows of a window; None where nothing is streamed."""
    sizes = [int(getattr(one, "buffer_size", 1000)) for one in datasets if getattr(one, "live", False)]
    return max(sizes, default=None)


def only_first(datasets: Sequence[Dataset], split: Split) -> list[str]:
    """A line to say wherever a split is looked at of which only the first rows are: that of a stream; else nothing."""
    if split != SPLIT or not is_live(datasets):
        return []
    return [f"the {SPLIT} split is a stream: these are its first rows, {size_of(datasets):,} at most"]


def sample(datasets: Sequence[Dataset], text: TextRules) -> Table:
    """The first window: what is known of streams before training."""
    return Windows(datasets, (), text).raw(0)


class Windows:
    """The windows of the training split of several data sets, at least one of them streamed.

    Each data set gives as many rows of a window as its weight says, of the weights of all; one that is listed gives
    them in an order of its own, drawn anew each time it is through.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        weights: Sequence[float],
        text: TextRules,
        *,
        seed: int = 0,
        owner: str = "",
    ) -> None:
        """`owner` keeps apart what several runs read of one stream; the first window is shared by all."""
        self._text = text
        self.size = size_of(datasets) or 1000
        weights = weights or (1.0,) * len(datasets)
        whole = sum(Fraction(one) for one in weights)
        self._shares = [Fraction(one) / whole for one in weights]
        self._datasets = list(datasets)
        told = repr([repr(one) for one in datasets]) + repr([str(one) for one in self._shares]) + str(seed)
        key = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        own = hashlib.blake2b(owner.encode(), digest_size=4).hexdigest() if owner else "0"
        self._folders = (f"windows/{key}/first", f"windows/{key}/{own}")
        self._seed = seed
        self._sources: list[Any] = []
        self._starts: dict[int, list[Position]] = {0: [dict(BEGINNING) for _ in datasets]}
        self._raw: dict[int, Table] = {}
        self._lock = threading.Lock()
        self._failed: BaseException | None = None

    def start(self, window: int) -> list[Position]:
        """Where each data set stands at the beginning of a window. The window before has to be read."""
        if window not in self._starts:
            self.raw(window - 1)
        return self._starts[window]

    def seek(self, window: int, start: Sequence[Position]) -> None:
        """Say where a window begins, from a checkpoint."""
        self._starts[window] = [dict(one) for one in start]

    def raw(self, window: int) -> Table:
        """All rows of a window, their texts after `[text]`. Raises `DataError` where the stream breaks off."""
        found = self._raw.get(window)
        if found is None:
            with self._lock:
                found = self._raw.get(window)
                if found is None:
                    found = self._raw[window] = self._opened(window)
        return found

    def ahead(self, window: int) -> None:
        """Read a window in a thread of its own; an error is raised when it is asked for."""

        def read() -> None:
            try:
                self.raw(window)
            except BaseException as error:  # told by `raw`, which tries again
                log.debug("reading ahead: %s", error)

        if window not in self._raw:
            threading.Thread(target=read, name="vox-window", daemon=True).start()

    def forget(self, window: int) -> None:
        """Let go of a window and remove its files, unless it is the first, which is shared."""
        self._raw.pop(window, None)
        if window:
            for place in places(f"{self._folder(window)}/{window:06d}.arrow"):
                for file in place.parent.glob(f"{window:06d}[.-]*"):
                    file.unlink(missing_ok=True)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _folder(self, window: int) -> str:
        return self._folders[bool(window)]

    def _opened(self, window: int) -> Table:
        name = f"{self._folder(window)}/{window:06d}"
        made = self._kept(name)
        if made is None and int(os.environ.get("LOCAL_RANK", "0")) > 0:
            made = self._waited(name)
        if made is None:
            begin = time.perf_counter()
            made = self._read(window, name)
            log.info("window %d of the stream: %d rows in %.1f s", window, self.size, time.perf_counter() - begin)
        indexed, said = made
        self._starts[window + 1] = said["next"]
        return _Mixed.joined(indexed, said["origins"], self._text)

    def _kept(self, name: str) -> tuple[IndexTable, dict[str, Any]] | None:
        """What stands in the cache already; the index is put there last."""
        for place in places(f"{name}.arrow"):
            try:
                return IndexTable(place), json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
        return None

    def _waited(self, name: str) -> tuple[IndexTable, dict[str, Any]] | None:
        """The first process of a machine reads for all; one that has a cache of its own gives up waiting."""
        end = time.monotonic() + WAITED
        while time.monotonic() < end:
            if (made := self._kept(name)) is not None:
                return made
            time.sleep(WAIT)
        return None

    def _read(self, window: int, name: str) -> tuple[IndexTable, dict[str, Any]]:
        start = self._starts.get(window)
        if start is None:
            raise DataError(f"where window {window} of the stream begins is not known", help="begin the run anew")
        if not self._sources:
            self._sources = [
                dataset.stream(SPLIT) if getattr(dataset, "live", False) else _Listed(dataset, self._seed, number)  # type: ignore[attr-defined]
                for number, dataset in enumerate(self._datasets)
            ]
        utterances: list[Utterance] = []
        following: list[Position] = []
        origins: list[int] = []
        with scratch(f"{name}.arrow") as beside:
            place = beside.with_name(beside.name.rsplit(".", 2)[0]).with_suffix("")
            for number, source in enumerate(self._sources):
                count = self._count(window, number)
                files = place.with_name(f"{place.name}-{number}")
                # a window ends where the rows end; among several data sets that would change their shares
                found, after = source.read(count, files, start[number], once=len(self._sources) == 1)
                utterances += found
                origins += [number] * len(found)
                following.append(after)
            said = {"start": start, "next": following, "origins": origins}
            with scratch(f"{name}.json") as told:
                told.write_text(json.dumps(said), encoding="utf-8")
                settle(told)
            with scratch(f"{name}.listed") as listed:
                measure(listed, beside, list_utterances(_Given(utterances), SPLIT, listed, digest=False))
            return IndexTable(settle(beside)), said

    def _count(self, window: int, number: int) -> int:
        """Rows that a data set gives to a window: by its share, rounded so that in the long run nothing is lost."""
        share = self._shares[number] * self.size
        return int((window + 1) * share) - int(window * share)


class _Given:
    """Utterances that are there already, as a data set."""

    def __init__(self, utterances: list[Utterance]) -> None:
        self._utterances = utterances

    def utterances(self, split: Split) -> Iterator[Utterance]:
        return iter(self._utterances)


class _Listed:
    """A data set that is listed, read like a stream: in an order drawn anew in each pass."""

    def __init__(self, dataset: Dataset, seed: int, number: int) -> None:
        self._index = index(dataset, SPLIT)
        self._seed, self._number = seed, number

    def read(
        self, count: int, place: Path, position: Position, *, once: bool = False
    ) -> tuple[list[Utterance], Position]:
        """As `voxcli.datasets.live.Live.read`; no file is written."""
        if not len(self._index):
            if count:
                raise DataError("a data set beside a stream has no training utterances", help="check [[data]]")
            return [], position
        found: list[Utterance] = []
        turn, row = position["pass"], position["row"]
        while len(found) < count:
            rng = np.random.default_rng([self._seed % 2**63, self._number, turn, 0x77696E])
            taken = rng.permutation(len(self._index))[row : row + count - len(found)]
            found += [self._index.utterance(int(one)) for one in taken]
            row += len(taken)
            if row >= len(self._index):
                turn, row = turn + 1, 0
        return found, {**BEGINNING, "pass": turn, "row": row}


class _Mixed:
    """An index whose rows are of several data sets."""

    def __init__(self, indexed: IndexTable, origins: Sequence[int]) -> None:
        self._index = indexed
        self.origins = np.asarray(origins, np.int64)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def durations(self) -> Any:
        """s, shape (rows,)."""
        return self._index.durations

    def column(self, name: str) -> Any:
        """An Arrow column."""
        return self._index.column(name)

    def utterance(self, row: int) -> Utterance:
        """One row."""
        return self._index.utterance(row)

    @classmethod
    def joined(cls, indexed: IndexTable, origins: Sequence[int], text: TextRules) -> Table:
        """A table of it, its texts after `[text]`."""
        return join([cls(indexed, origins)], normalize=normalizer(text))
