"""Model + table -> scores, and a line for every utterance in a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from voxcli.api import Decoding
from voxcli.errors import DataError, UsageError
from voxcli.evaluate.predict import Utterances, predict
from voxcli.evaluate.scores import Scored, Scores, Tally
from voxcli.progress import NULL, Progress
from voxcli.text.scoring import english_spelling_of, scoring_normalizer

if TYPE_CHECKING:
    from voxcli.models.open import OpenModel

SCORES, UTTERANCES = "scores.json", "utterances.jsonl"


def evaluate(
    model: OpenModel,
    table: Utterances,
    *,
    decoding: Decoding | None = None,
    batch_duration: float = 120.0,
    num_workers: int = 2,
    worst: int = 20,
    examples: int = 0,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
    out: Path | None = None,
    progress: Progress = NULL,
) -> Scores:
    """Transcribe every utterance of a table and compare it with its reference.

    Args:
        table: utterances whose text has been through the checkpoint's `[text]` rules
        decoding: how text is produced; None takes the checkpoint's own
        batch_duration: s of padded audio per batch; bounds the memory
        facts: what scores.json says besides the scores (names of model and data)
        out: folder for scores.json and utterances.jsonl, which has one line an utterance in the table's order

    Raises `DataError` where no utterance could be read; `UsageError` where `out` cannot be written.
    """
    decoding = decoding or model.decoding
    normalised = _normaliser(model, decoding)
    tally = Tally(worst=worst, examples=examples)
    skipped: list[tuple[str, str]] = []
    begin = time.perf_counter()
    with _Lines(out) as lines:
        for utterance, transcript in predict(
            model.bundle,
            model.task,
            table,
            decoding=decoding,
            batch_duration=batch_duration,
            num_workers=num_workers,
            skipped=skipped,
            progress=progress,
        ):
            normalise = normalised(utterance.language, transcript.language)
            scored = Scored.of(utterance, transcript.text, normalise(utterance.text or ""), normalise(transcript.text))
            tally.add(scored)
            lines.add(utterance.id, scored.as_json())
        if not len(lines):
            raise DataError(
                f"none of the {len(table)} utterances could be read, the first because: {skipped[0][1]}"
                if skipped
                else "there is nothing to evaluate"
            )
        scores = tally.scores(decoding=decoding, seconds=time.perf_counter() - begin, skipped=skipped, seed=seed)
        lines.finish(table, {**(facts or {}), **scores.as_json()})
    return scores


def _normaliser(model: OpenModel, decoding: Decoding) -> Callable[[str | None, str | None], Callable[[str], str]]:
    """(language of an utterance, language of its transcript) -> the normaliser of both.

    Where the data name no language, it is that of the decoding, of the `[text]` rules, or what the model heard.
    """
    spelling = english_spelling_of(getattr(model.bundle.processor, "tokenizer", None))
    known = decoding.language or model.text.language

    def of(named: str | None, heard: str | None) -> Callable[[str], str]:
        return scoring_normalizer("en" if decoding.task == "translate" else named or known or heard, spelling)

    return of


class _Lines:
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
