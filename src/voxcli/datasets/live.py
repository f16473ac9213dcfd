"""A split of a data set that is streamed -> its rows as they come, some at a time, without end.

Where the rows end they begin anew. A place in them is what `datasets` says of its own (`IterableDataset.state_dict`),
so that going on costs no more than opening the file or shard; where `datasets` says nothing, rows are passed over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Split, Utterance
from voxcli.errors import DataError

if TYPE_CHECKING:
    from voxcli.datasets.huggingface import HuggingFace

log = logging.getLogger(__name__)

Position = dict[str, Any]
"""{"pass": times the end was reached, "part": number, "row": of the part, "state": what `datasets` says}; as JSON."""

BEGINNING: Position = {"pass": 0, "part": 0, "row": 0, "state": None}
TELL = 10.0  # s of passing over rows from which a person is told


class Live:
    """The rows of a split, read on from one call to the next."""

    def __init__(self, dataset: HuggingFace, split: Split) -> None:
        self._dataset = dataset
        self._parts = dataset._parts(split)
        if not self._parts:
            raise DataError(f"{dataset.path} has no part for the {split} split", help="name it with `splits`")
        self._at: Position | None = None
        self._rows: Any = None
        self._examples: Iterator[dict[str, Any]] = iter(())

    def read(
        self, count: int, place: Path, position: Position, *, once: bool = False
    ) -> tuple[list[Utterance], Position]:
        """`count` utterances from a position on, their audio written to files that begin with the name of `place`; and
        the position behind them. `once`: fewer where the rows end. Raises `DataError` where the stream breaks off, or
        has no rows at all.
        """
        try:
            return self._read(count, place, position, once)
        except BaseException:
            self._at = None  # what is being read has ended where it broke, and not where the rows end
            raise

    def _read(self, count: int, place: Path, position: Position, once: bool) -> tuple[list[Utterance], Position]:
        from voxcli.datasets.streamed import copied

        if self._at != position:
            self._open(position)
        found: list[Utterance] = []
        passes, piece = 0, 0
        while len(found) < count:
            at = dict(self._at or position)
            part = self._parts[at["part"]]
            make = self._dataset._row_of(self._source, part)
            file = place.with_name(f"{place.name}-{piece}.arrow")
            columns = list(make.places.values())
            before = len(found)
            for number, row in enumerate(
                copied(self._examples, file, audio=make.audio, columns=columns, take=count - before)
            ):
                found.append(make(row, at["row"] + number, str(file), number))
            at["row"] += len(found) - before
            piece += 1
            if len(found) < count:
                over = at["part"] + 1 == len(self._parts)
                passes += over
                if passes > 1 and not found:
                    raise DataError(
                        f"the stream {self._dataset.path} has no rows", help="check [[data]] path and splits"
                    )
                self._open(self._following(at))
                if over and once and found:
                    break
            else:
                self._at = {**at, "state": self._state()}
        return found, dict(self._at or position)

    def _following(self, at: Position) -> Position:
        last = at["part"] + 1 == len(self._parts)
        return {**BEGINNING, "pass": at["pass"] + last, "part": 0 if last else at["part"] + 1}

    def _open(self, position: Position) -> None:
        """Go to a position; by passing over rows where there is no other way, which takes as long as fetching them."""
        import datasets

        from voxcli.datasets.hub import as_stored

        part = self._parts[position["part"]]
        self._source = self._dataset._open(part)
        audio = self._dataset._row_of(self._source, part).audio
        rows = self._source.cast_column(audio, datasets.Audio(decode=False))
        row = int(position["row"])
        state = position.get("state")
        begin = time.perf_counter()
        with as_stored():
            if state is not None and hasattr(rows, "load_state_dict"):
                rows.load_state_dict(state)
                self._examples = iter(rows)
            else:
                self._examples = iter(rows)
                if row:
                    log.warning("%s: passing over %d rows of the stream, one by one", self._dataset.path, row)
                for _ in range(row):
                    next(self._examples, None)
        seconds = time.perf_counter() - begin
        if seconds > TELL:
            log.warning("%s: passing over %d rows of the stream took %.0f s", self._dataset.path, row, seconds)
        self._rows = rows
        self._at = dict(position)

    def _state(self) -> Any:
        """What `datasets` says of where it is; None where it does not."""
        try:
            return self._rows.state_dict()
        except (AttributeError, NotImplementedError, ValueError):
            return None
