"""Classified utterances, one by one -> accuracy and F1 with intervals, a row for each class, what is taken for what.

Intervals are by bootstrap over utterances (`voxcli.evaluate.bootstrap`): draws are made of the different pairs of
labels that hold and labels that are chosen, so that many utterances cost no more than few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxcli.api import Classification, Utterance
from voxcli.evaluate.bootstrap import CONFIDENCE, RESAMPLES
from voxcli.evaluate.scores import duration_bin
from voxcli.tasks import classification_metrics as metrics

Names = tuple[str, ...]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Classified:
    """One utterance, the labels that hold of it and what the model says."""

    utterance: Utterance
    held: Names
    prediction: Classification

    @property
    def right(self) -> bool:
        """Whether exactly the labels that hold are chosen."""
        return set(self.held) == set(self.prediction.chosen)

    @property
    def sureness(self) -> float:
        """Probability of the first label."""
        return self.prediction.scores[0] if self.prediction.scores else 0.0

    def as_json(self) -> dict[str, Any]:
        """The line of utterances.jsonl."""
        scores = zip(self.prediction.labels, self.prediction.scores, strict=True)
        return {
            "id": self.utterance.id,
            "labels": list(self.held),
            "predicted": list(self.prediction.chosen),
            "right": self.right,
            "scores": {name: round(score, 6) for name, score in scores},
            "duration": self.utterance.duration,
            "speaker": self.utterance.speaker,
            "language": self.utterance.language,
        }


@dataclass(frozen=True)
class ClassRow:
    """How one class is recognised."""

    name: str
    support: int
    """Utterances of which it holds."""
    predicted: int
    """Utterances for which it is chosen."""
    hits: int
    average_precision: float | None
    """Area under precision over recall, None where it holds nowhere."""
    known: bool = True
    """Whether the model has this class."""

    @property
    def precision(self) -> float | None:
        """Share of the utterances for which it is chosen that are of it; None where it never is."""
        return self.hits / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Share of its utterances for which it is chosen; None where there are none."""
        return self.hits / self.support if self.support else None

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return metrics.f1(self.hits, self.predicted - self.hits, self.support - self.hits)

    def as_json(self) -> dict[str, Any]:
        """All of it by name."""
        return {
            "label": self.name,
            "support": self.support,
            "predicted": self.predicted,
            "hits": self.hits,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "average_precision": self.average_precision,
            "known": self.known,
        }


@dataclass(frozen=True)
class ClassScores:
    """What a classifier does on a split."""

    clips: Sequence[Classified]
    """In the order in which they were scored."""
    names: Names
    """The model's classes in its order."""
    multi_label: bool
    skipped: tuple[tuple[str, str], ...]
    """(id, reason) of utterances whose audio could not be read; they are in no figure."""
    seconds: float
    worst: int = 20
    seed: int = 0
    intervals: dict[str, Interval | None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intervals", self._intervals())

    @cached_property
    def duration(self) -> float:
        """Of the scored audio, s."""
        return float(sum(clip.prediction.duration for clip in self.clips))

    @cached_property
    def figures(self) -> dict[str, float]:
        """accuracy, macro_f1, mean_average_precision."""
        predictions, references = [clip.prediction for clip in self.clips], [clip.held for clip in self.clips]
        return {
            "accuracy": metrics.accuracy(predictions, references),
            "macro_f1": metrics.macro_f1(predictions, references),
            "mean_average_precision": metrics.mean_average_precision(predictions, references),
        }

    @cached_property
    def rows(self) -> tuple[ClassRow, ...]:
        """The model's classes in its order, then those that only the data have."""
        counts = metrics.outcomes((clip.prediction.chosen for clip in self.clips), [clip.held for clip in self.clips])
        scored = [dict(zip(clip.prediction.labels, clip.prediction.scores, strict=True)) for clip in self.clips]
        made = []
        for name in (*self.names, *(one for one in counts if one not in set(self.names))):
            hits, wrong, missed = counts.get(name, (0, 0, 0))
            precision = None
            if hits + missed:
                holds = [name in clip.held for clip in self.clips]
                precision = metrics.average_precision([row.get(name, 0.0) for row in scored], holds)
            made.append(ClassRow(name, hits + missed, hits + wrong, hits, precision, name in self.names))
        return tuple(made)

    @cached_property
    def confusion(self) -> Counter[tuple[str, str]]:
        """(label that holds, label that is chosen) -> utterances, where one label holds and one is chosen."""
        return (
            Counter((clip.held[0], clip.prediction.chosen[0]) for clip in self.clips)
            if not self.multi_label
            else (Counter())
        )

    @cached_property
    def mistakes(self) -> tuple[Classified, ...]:
        """The wrong ones of which the model is surest."""
        wrong = [clip for clip in self.clips if not clip.right]
        return tuple(sorted(wrong, key=lambda clip: (-clip.sureness, clip.utterance.id))[: self.worst])

    def breakdowns(self) -> dict[str, dict[str, tuple[int, float]]]:
        """ "duration", "speaker", "language" -> group -> (utterances, accuracy). One group alone is left out."""
        found: dict[str, dict[str, list[bool]]] = {"duration": {}, "speaker": {}, "language": {}}
        for clip in self.clips:
            of = clip.utterance
            for kind, name in (
                ("duration", duration_bin(clip.prediction.duration)),
                ("speaker", of.speaker or "unknown"),
                ("language", of.language or "unknown"),
            ):
                found[kind].setdefault(name, []).append(clip.right)
        return {
            kind: {name: (len(right), sum(right) / len(right)) for name, right in sorted(groups.items(), key=_by_size)}
            for kind, groups in found.items()
            if len(groups) > 1
        }

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio."""
        return self.seconds / self.duration if self.duration else 0.0

    def as_json(self) -> dict[str, Any]:
        """scores.json, except for the names of model and data."""
        return {
            "utterances": len(self.clips),
            "duration": round(self.duration, 3),
            "skipped": [{"id": name, "reason": reason} for name, reason in self.skipped],
            "multi_label": self.multi_label,
            **{
                name: {"value": value, "interval": list(found) if (found := self.intervals.get(name)) else None}
                for name, value in self.figures.items()
            },
            "classes": [row.as_json() for row in self.rows],
            "confusion": [[held, chosen, count] for (held, chosen), count in sorted(self.confusion.items())],
            "breakdowns": {
                kind: {name: {"utterances": count, "accuracy": value} for name, (count, value) in groups.items()}
                for kind, groups in self.breakdowns().items()
            },
            "worst": [clip.utterance.id for clip in self.mistakes],
            "seconds": round(self.seconds, 3),
            "real_time_factor": round(self.real_time_factor, 4),
        }

    def _intervals(self) -> dict[str, Interval | None]:
        if len(self.clips) < 2:
            return {"accuracy": None, "macro_f1": None}
        drawn = Draws.of([(clip.held, clip.prediction.chosen) for clip in self.clips], seed=self.seed)
        return {"accuracy": cut(drawn.accuracy(0)), "macro_f1": cut(drawn.macro_f1(0))}


@dataclass(frozen=True)
class Draws:
    """Samples of the same size drawn with replacement, of the labels that hold and those that models choose."""

    weights: NDArray[np.float64]
    """(draws, patterns): how often each pattern was drawn."""
    patterns: tuple[tuple[Names, ...], ...]
    """(labels that hold, chosen by the first model, by the second …)."""

    @classmethod
    def of(cls, patterns: Sequence[tuple[Names, ...]], *, seed: int, resamples: int = RESAMPLES) -> Draws:
        """`patterns`: of each utterance."""
        counts = Counter(tuple(tuple(sorted(names)) for names in one) for one in patterns)
        shares = np.asarray(list(counts.values()), dtype=np.float64) / len(patterns)
        rng = np.random.default_rng(seed)
        return cls(rng.multinomial(len(patterns), shares, size=resamples).astype(np.float64), tuple(counts))

    def accuracy(self, model: int) -> NDArray[np.float64]:
        """Of each draw (draws,)."""
        right = np.asarray([one[0] == one[model + 1] for one in self.patterns], dtype=np.float64)
        return np.asarray(self.weights @ right / self.weights.sum(1))

    def macro_f1(self, model: int) -> NDArray[np.float64]:
        """Of each draw (draws,): the mean over the classes that hold or are chosen in it."""
        names = sorted({name for one in self.patterns for name in (*one[0], *one[model + 1])})
        held = np.asarray([[name in one[0] for name in names] for one in self.patterns], dtype=np.float64)
        chosen = np.asarray([[name in one[model + 1] for name in names] for one in self.patterns], dtype=np.float64)
        hits = self.weights @ (held * chosen)
        whole = self.weights @ (held + chosen)  # 2 hits + wrongly chosen + missed
        scores = np.divide(2 * hits, whole, out=np.zeros_like(hits), where=whole > 0)
        present = (whole > 0).sum(1)
        return np.asarray(scores.sum(1) / np.maximum(present, 1))


def cut(values: NDArray[np.float64]) -> Interval:
    """The middle 95 % of drawn values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _by_size(item: tuple[str, list[bool]]) -> Any:
    """Durations by their number, names by their letters."""
    first = item[0].split("-")[0].split()[0] if item[0] else ""
    return (0, float(first), "") if first.replace(".", "", 1).isdigit() else (1, 0.0, item[0])
