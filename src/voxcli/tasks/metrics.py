"""Transcripts and their references -> error rates (jiwer), and which direction of each metric is the better one.

A word error rate is the edit distance in words over the words of the references, summed over all utterances first: it
is not the mean of the utterances' rates, and it can exceed 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from voxcli.errors import UsageError
from voxcli.tasks import classification_metrics


@dataclass(frozen=True)
class Metric:
    """A score of predictions against references, both in the same order."""

    higher_is_better: bool
    compute: Callable[[Sequence[Any], Sequence[Any]], float] | None
    """(predictions, references) -> the score of them all: texts, or classifications and the labels that hold.
    None: a figure of the task's loss (`Task.figures`), or the loss itself."""


def word_error_rate(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Substitutions, deletions and insertions over the words of all references; 0.0 where both sides are empty."""
    return _rate(predictions, references, "process_words")


def character_error_rate(predictions: Sequence[str], references: Sequence[str]) -> float:
    """The same over characters, spaces included."""
    return _rate(predictions, references, "process_characters")


METRICS: dict[str, Metric] = {
    "wer": Metric(higher_is_better=False, compute=word_error_rate),
    "cer": Metric(higher_is_better=False, compute=character_error_rate),
    "accuracy": Metric(higher_is_better=True, compute=classification_metrics.accuracy),
    "macro_f1": Metric(higher_is_better=True, compute=classification_metrics.macro_f1),
    "mean_average_precision": Metric(higher_is_better=True, compute=classification_metrics.mean_average_precision),
    "contrastive_loss": Metric(higher_is_better=False, compute=None),
    "contrastive_accuracy": Metric(higher_is_better=True, compute=None),
    "codevector_perplexity": Metric(higher_is_better=True, compute=None),
    "diversity_loss": Metric(higher_is_better=False, compute=None),
}


def metric_of(task: Any, name: str) -> Metric:
    """A metric of a task: one that is known here, or a figure of its loss, of which less is better.

    Raises `UsageError` for any other.
    """
    if name not in METRICS and name in getattr(task, "figures", ()):
        return Metric(higher_is_better=False, compute=None)
    return metric(name)


def metric(name: str) -> Metric:
    """A metric by its name. Raises `UsageError` for an unknown one."""
    if name not in METRICS:
        raise UsageError(f"no metric is called '{name}'", help=f"known: {', '.join(METRICS)}")
    return METRICS[name]


def direction(name: str) -> Literal["max", "min"]:
    """Which value of a metric is the best one."""
    return "max" if metric(name).higher_is_better else "min"


def _rate(predictions: Sequence[str], references: Sequence[str], process: str) -> float:
    import jiwer

    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, {len(references)} references")
    if not references:
        return 0.0
    out = getattr(jiwer, process)(list(references), list(predictions))
    expected = out.hits + out.substitutions + out.deletions
    wrong = out.substitutions + out.deletions + out.insertions
    if expected == 0:  # silence: every invented word is an error, and there is nothing to divide by
        return float(wrong > 0)
    return float(wrong / expected)
