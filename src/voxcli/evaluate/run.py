"""Model + table -> scores, and a line for every utterance in a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Decoding
from voxcli.errors import DataError
from voxcli.evaluate.lines import Lines
from voxcli.evaluate.predict import Utterances, predict
from voxcli.evaluate.scores import Scored, Scores, Tally
from voxcli.progress import NULL, Progress
from voxcli.text.scoring import english_spelling_of, scoring_normalizer

if TYPE_CHECKING:
    from voxcli.models.open import OpenModel


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
    with Lines(out) as lines:
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
