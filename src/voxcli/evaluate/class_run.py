"""Classifier + table -> scores, and a line for every utterance in a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.errors import DataError
from voxcli.evaluate.classes import Classified, ClassScores
from voxcli.evaluate.lines import Lines
from voxcli.evaluate.predict import Utterances, predict
from voxcli.progress import NULL, Progress

if TYPE_CHECKING:
    from voxcli.models.open import OpenModel


def evaluate(
    model: OpenModel,
    table: Utterances,
    *,
    batch_duration: float = 120.0,
    num_workers: int = 2,
    worst: int = 20,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
    out: Path | None = None,
    progress: Progress = NULL,
) -> ClassScores:
    """Classify every utterance of a table and compare with its labels; `out` is the folder for the result files.

    Raises `DataError` where no utterance could be read; `UsageError` where `out` cannot be written.
    """
    clips: list[Classified] = []
    skipped: list[tuple[str, str]] = []
    labels = model.bundle.processor.labels
    begin = time.perf_counter()
    with Lines(out) as lines:
        for utterance, prediction in predict(
            model.bundle,
            model.task,
            table,
            decoding=model.decoding,
            batch_duration=batch_duration,
            num_workers=num_workers,
            skipped=skipped,
            progress=progress,
        ):
            held = model.task.reference(utterance, model.bundle)  # type: ignore[attr-defined]
            clip = Classified(utterance, held, prediction)  # type: ignore[arg-type]
            clips.append(clip)
            lines.add(utterance.id, clip.as_json())
        if not clips:
            raise DataError(
                f"none of the {len(table)} utterances could be read, the first because: {skipped[0][1]}"
                if skipped
                else "there is nothing to evaluate"
            )
        scores = ClassScores(
            tuple(clips),
            labels.names,
            labels.multi_label,
            tuple(skipped),
            time.perf_counter() - begin,
            worst=worst,
            seed=seed,
        )
        lines.finish(table, {**(facts or {}), **scores.as_json()})
    return scores
