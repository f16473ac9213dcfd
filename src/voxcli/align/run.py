"""Model + table of utterances -> where each text is spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcli.align.file import Alignment
from voxcli.api import Utterance
from voxcli.audio.decode import read_utterance
from voxcli.engines.batching import fits, inference, long_enough, pack, shortest_input
from voxcli.errors import DataError, UsageError
from voxcli.progress import NULL, Progress

if TYPE_CHECKING:
    from voxcli.evaluate.predict import Utterances
    from voxcli.models.open import OpenModel


def align(
    model: OpenModel,
    table: Utterances,
    *,
    batch_duration: float = 60.0,
    skipped: list[tuple[str, str]] | None = None,
    progress: Progress = NULL,
) -> list[Alignment]:
    """Align the texts of a table with its recordings; in the table's order. `batch_duration` is s of padded audio.

    What cannot be aligned goes to `skipped` with the reason: audio that cannot be read, a clip longer than the model
    takes in one piece, a text that does not fit the frames or that the model cannot write. Raises `UsageError` where
    the model is of a task without alignments.
    """
    if getattr(model.task, "align", None) is None:
        raise UsageError(
            "only a CTC model says in which frames a letter is; this one does not",
            help='align with one that vox trained (type = "ctc"), or with any CTC checkpoint of the hub',
        )
    limits = model.bundle.family.limits()
    durations = np.nan_to_num(np.asarray(table.durations, dtype=np.float64), nan=0.0)
    batches = pack(durations.tolist(), batch_duration, shortest=shortest_input(model.bundle, limits))
    aligned: dict[int, Alignment] = {}
    with progress.task("aligning", total=float(durations.sum()), unit="s of audio") as bar:
        for rows in batches:
            clips, items = [], []
            for row in rows:
                utterance = table.utterance(row)
                item = _item(model, utterance, limits)
                if isinstance(item, str):
                    _leave(utterance, item, skipped, progress)
                else:
                    clips.append((row, utterance))
                    items.append(item)
            if items:
                batch = model.task.collate(items, model.bundle)
                with inference(model.bundle, batch_duration):
                    found = model.task.align(model.bundle, batch, [utterance for _, utterance in clips])  # type: ignore[attr-defined]
                for (row, utterance), one in zip(clips, found, strict=True):
                    if one is None:
                        _leave(utterance, "the model cannot write its text", skipped, progress)
                    else:
                        aligned[row] = one
            bar.advance(float(durations[rows].sum()))
    return [aligned[row] for row in sorted(aligned)]


def _item(model: OpenModel, utterance: Utterance, limits: Any) -> dict[str, Any] | str:
    """Features and label of an utterance, or why there are none."""
    if not (utterance.text or "").strip():
        return "it has no text"
    try:
        audio = read_utterance(utterance, limits.sampling_rate)
        if not fits(audio, limits):
            return f"{len(audio) / limits.sampling_rate:.1f} s is more than the model takes in one piece"
        return model.task.features(utterance, long_enough(audio, limits), model.bundle)
    except DataError as error:
        return error.message


def _leave(utterance: Utterance, why: str, skipped: list[tuple[str, str]] | None, progress: Progress) -> None:
    if skipped is not None:
        skipped.append((utterance.id, why))
    progress.say(f"left out {utterance.id}: {why}")
