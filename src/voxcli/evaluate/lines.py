"""A line for every utterance in a file, and the scores beside it: written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from voxcli.errors import UsageError
from voxcli.evaluate.predict import Utterances

SCORES, UTTERANCES = "scores.json", "utterances.jsonl"


class Lines:
    """utterances.jsonl: written in the order of decoding, put into the table's order at the end, then renamed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._places: dict[str, tuple[int, int]] = {}  # id -> (offset, length) in bytes
        self._count = 0

    def __enter__(self) -> Self:
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._partial = self._folder / f".{UTTERANCES}.{os.getpid()}.partial"
                self._file = self._partial.open("w+b")
            except OSError as error:
                raise UsageError(
                    f"cannot write into {self._folder}: {error.strerror or error}",
                    help="choose another folder with --output-dir",
                ) from error
        return self

    def __len__(self) -> int:
        return self._count

    def add(self, name: str, line: dict[str, Any]) -> None:
        self._count += 1
        if self._folder is not None:
            data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
            self._places[name] = (self._file.tell(), len(data))
            self._file.write(data)

    def finish(self, table: Utterances, scores: dict[str, Any]) -> None:
        if self._folder is None:
            return
        ordered = self._folder / f".{UTTERANCES}.{os.getpid()}.ordered"
        with ordered.open("wb") as file:
            for index in range(len(table)):
                place = self._places.get(table.utterance(index).id)
                if place is not None:
                    self._file.seek(place[0])
                    file.write(self._file.read(place[1]))
        ordered.replace(self._folder / UTTERANCES)
        partial = self._folder / f".{SCORES}.{os.getpid()}.partial"
        partial.write_text(json.dumps(scores, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        partial.replace(self._folder / SCORES)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._file.close()
            self._partial.unlink(missing_ok=True)
