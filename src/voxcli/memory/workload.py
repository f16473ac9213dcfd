"""A recipe's data, or the size of its longest clip by hand -> the batches that decide the memory of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voxcli.api import Bundle, Corpus, Limits, Utterance
from voxcli.data.batches import padding_of
from voxcli.data.corpus import Splits, clock
from voxcli.engines.batching import LONGEST, shortest_input
from voxcli.errors import DataError, UsageError
from voxcli.memory.setup import Shape
from voxcli.memory.worst import Clips, EvaluationShapes, clips_of, evaluation
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe
from voxcli.tasks.ctc_windows import WINDOW, WINDOWS_AT_ONCE
from voxcli.train.reading import grouped, splits_of
from voxcli.train.validation import LOSS_UTTERANCES, sample

LETTERS = "abcdefghijklmnopqrstuvwxyz' "
TOKENS_PER_SECOND = {"ctc": 20.0, "seq2seq": 8.0}
"""Assumed of labels where the data are not read: quick speech in characters; word pieces of a language that shares them
with many."""
_MANY = 4096  # clips, where the data are given by hand: as many as any batch may hold


@dataclass(frozen=True)
class Source:
    """What is known of the data before the model is."""

    corpus: Corpus
    splits: Splits | None
    """None where the size of the data is given by hand."""

    @property
    def text(self) -> str:
        """The data in words."""
        if self.splits is None:
            return "sizes given by hand"
        held = [("train", self.splits.train), ("validation", self.splits.validation)]
        return ", ".join(f"{name} {len(table):,} ({clock(table.duration)})" for name, table in held if len(table))


def source(
    recipe: Recipe, limits: Limits, *, by_hand: bool, splits: Splits | None = None, progress: Progress = NULL
) -> Source:
    """Read the data of a recipe, unless they have been; `by_hand` reads none. Raises `DataError` where they cannot be
    read.
    """
    if splits is not None:
        return Source(splits.corpus, splits)
    if by_hand:
        return Source(Corpus(characters=LETTERS, labels=("a", "b"), n_utterances=0, duration=0.0), None)
    try:
        splits = splits_of(recipe, limits, progress=progress)
    except DataError as error:
        help = "to plan without the data, give their longest clip: --duration 15 (s), and --labels 80 (tokens)"
        raise DataError(error.message, help=f"{error.help}; {help}" if error.help else help) from error
    return Source(splits.corpus, splits)


@dataclass(frozen=True)
class Workload:
    """The largest batches of training, and of the evaluations in between."""

    clips: Clips
    """Of the training split; as many equal ones as any batch may hold where sizes are given by hand."""
    train: list[Shape]
    """The batches that no other one exceeds in clips, duration and labels at once."""
    evaluation: EvaluationShapes | None
    """None where there is no validation split."""
    validation: tuple[np.ndarray, np.ndarray] | None = None
    """(durations s, labels) of the validation sample, the rows whose loss is computed first."""
    notes: tuple[str, ...] = ()


def workload(
    recipe: Recipe,
    limits: Limits,
    bundle: Bundle,
    found: Source,
    count: Callable[[Utterance], int],
    *,
    duration: float | None = None,
    labels: int | None = None,
) -> Workload:
    """The batches of a recipe. `count`: tokens of an utterance's label. `duration` (s) and `labels` (tokens) are the
    longest clip's where the data were not read.
    """
    notes: list[str] = []
    padded = padding_of(recipe.model, limits)
    if found.splits is None:
        clips, durations, lengths = _by_hand(recipe, limits, duration or limits.max_duration, labels, notes)
    else:
        clips = clips_of(
            found.splits.train,
            count,
            augment=recipe.augment,
            padded=padded,
            limits=limits,
            grouped=grouped(recipe.task, recipe.train),
        )
        durations, lengths = _validation(recipe, found.splits, count, limits, bundle)
    train = clips.shapes(
        batch_duration=recipe.train.batch_duration, batch_size=recipe.train.per_device_train_batch_size
    )
    most = limits.max_label_length
    if most is not None:  # longer ones are left out of training
        train = [Shape(one.n_utterances, one.duration, min(one.n_labels, most)) for one in train]
    made = None
    if len(durations):
        made = evaluation(
            durations,
            lengths,
            batch_duration=recipe.evaluate.batch_duration,
            shortest=shortest_input(bundle, limits),
            longest=limits.max_duration,
            windows=Shape(WINDOWS_AT_ONCE, WINDOW, 0) if limits.max_duration > LONGEST else None,
            loss_rows=np.arange(min(LOSS_UTTERANCES, len(durations))),
        )
    return Workload(clips, train, made, (durations, lengths) if len(durations) else None, tuple(notes))


def _by_hand(
    recipe: Recipe, limits: Limits, duration: float, labels: int | None, notes: list[str]
) -> tuple[Clips, np.ndarray, np.ndarray]:
    """Clips, and the durations and labels of a validation sample, that are all as long as the longest."""
    most = min(limits.max_duration, recipe.filter.max_duration or float("inf"))
    if duration > most:
        notes.append(f"clips longer than {most:g} s are left out of the run: planned with {most:g} s")
        duration = most
    if not np.isfinite(duration):
        raise UsageError("--labels needs --duration", help="--duration 15: the longest clip in s")
    if labels is None:
        labels = round(TOKENS_PER_SECOND.get(recipe.task_name, 1.0) * duration)
        labels = min(labels, limits.max_label_length or labels)
        if recipe.task_name in TOKENS_PER_SECOND:
            notes.append(f"labels of up to {labels} tokens are assumed; --labels says it better")
    notes.append(f"the data were not read: every clip counts as {duration:g} s long")
    sizes = (np.full(_MANY, duration), np.full(_MANY, labels))
    clips = Clips.of(
        *sizes, augment=recipe.augment, padded=padding_of(recipe.model, limits), longest=limits.max_duration
    )
    sampled = min(_MANY, recipe.evaluate.max_utterances or _MANY)
    return clips, sizes[0][:sampled], sizes[1][:sampled]


def _validation(
    recipe: Recipe, splits: Splits, count: Callable[[Utterance], int], limits: Limits, bundle: Bundle
) -> tuple[np.ndarray, np.ndarray]:
    """Durations (s) and labels (tokens; 0 where the loss is not computed) of the sample of the validation split."""
    table = splits.validation
    rows = sample(len(table), most=recipe.evaluate.max_utterances, seed=recipe.seed)
    lengths = np.zeros(len(rows), dtype=np.int64)
    for place, row in enumerate(rows[:LOSS_UTTERANCES]):
        utterance = table.utterance(int(row))
        lengths[place] = count(utterance) if recipe.task.problem(utterance, limits, bundle) is None else 0
    return np.asarray(table.durations, dtype=np.float64)[rows], lengths
