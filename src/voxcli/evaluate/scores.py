"""Scored utterances, one by one -> totals with intervals, breakdowns, the worst utterances and what is confused.

Two texts are compared throughout: `raw`, the reference by the checkpoint's `[text]` rules against the model's output as
it is, and `normalised`, both after the scoring normaliser of their language (`voxcli.text.scoring`).
"""

from __future__ import annotations

import hashlib
import heapq
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxcli.api import Decoding, Utterance
from voxcli.evaluate.align import Alignment, Counts, align
from voxcli.evaluate.bootstrap import interval

EDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # s, bins of the breakdown by duration; 30 s is Whisper's window
MEASURES = (("raw", "wer"), ("raw", "cer"), ("normalised", "wer"), ("normalised", "cer"))


@dataclass(frozen=True, slots=True)
class Scored:
    """One utterance with its texts and alignments."""

    utterance: Utterance
    reference: str
    hypothesis: str
    normalised_reference: str
    normalised_hypothesis: str
    raw: Alignment
    normalised: Alignment

    @classmethod
    def of(cls, utterance: Utterance, hypothesis: str, normalised_reference: str, normalised_hypothesis: str) -> Scored:
        """Align an utterance that carries its reference; a missing one is empty."""
        reference = utterance.text or ""
        return cls(
            utterance,
            reference,
            hypothesis,
            normalised_reference,
            normalised_hypothesis,
            align(reference, hypothesis),
            align(normalised_reference, normalised_hypothesis),
        )

    def counts(self, text: str, metric: str) -> Counts:
        """Counts of "raw" or "normalised" text in words ("wer") or characters ("cer")."""
        alignment = self.raw if text == "raw" else self.normalised
        return alignment.words if metric == "wer" else alignment.characters

    def as_json(self) -> dict[str, Any]:
        """The line of utterances.jsonl."""
        return {
            "id": self.utterance.id,
            "reference": self.reference,
            "hypothesis": self.hypothesis,
            "duration": self.utterance.duration,
            "speaker": self.utterance.speaker,
            "language": self.utterance.language,
            "raw": {"wer": self.raw.words.rate, "cer": self.raw.characters.rate, **self.raw.as_json()},
            "normalised": {
                "wer": self.normalised.words.rate,
                "cer": self.normalised.characters.rate,
                "reference": self.normalised_reference,
                "hypothesis": self.normalised_hypothesis,
                **self.normalised.as_json(),
            },
        }


@dataclass(frozen=True)
class Rate:
    """A word or character error rate with what it was counted from."""

    counts: Counts
    interval: tuple[float, float] | None = None
    """95 % by bootstrap over utterances."""

    @property
    def value(self) -> float | None:
        """Errors per reference unit; None where the references are empty."""
        return self.counts.rate

    def as_json(self) -> dict[str, Any]:
        """Rate, interval, counts."""
        low_high = None if self.interval is None else list(self.interval)
        return {"rate": self.value, "interval": low_high, "length": self.counts.length, **self.counts.as_json()}


@dataclass
class Group:
    """One line of a breakdown."""

    utterances: int = 0
    duration: float = 0.0
    counts: dict[tuple[str, str], Counts] = field(default_factory=lambda: dict.fromkeys(MEASURES, Counts()))

    def add(self, scored: Scored) -> None:
        """Count one utterance."""
        self.utterances += 1
        self.duration += scored.utterance.duration or 0.0
        for measure in MEASURES:
            self.counts[measure] += scored.counts(*measure)

    def as_json(self) -> dict[str, Any]:
        """Size and rates."""
        rates = {f"{text}_{metric}": self.counts[text, metric].rate for text, metric in MEASURES}
        return {"utterances": self.utterances, "duration": round(self.duration, 3), **rates}


@dataclass(frozen=True)
class Scores:
    """What a checkpoint does on a split."""

    utterances: int
    duration: float
    """Of the scored audio, s."""
    rates: dict[tuple[str, str], Rate]
    """By ("raw" | "normalised", "wer" | "cer")."""
    breakdowns: dict[str, dict[str, Group]]
    """"duration", "speaker", "language" -> name of the group -> its rates. One group alone is left out."""
    worst: tuple[Scored, ...]
    """Highest normalised word error rate first; of equal rates, the one with more errors."""
    confusions: tuple[tuple[str, str, int], ...]
    """(reference word, taken for, how often), most frequent first, of the normalised texts."""
    skipped: tuple[tuple[str, str], ...]
    """(id, reason) of utterances whose audio could not be read; they are in no figure."""
    decoding: Decoding
    seconds: float
    """What reading, decoding and scoring took."""
    examples: tuple[Scored, ...] = ()
    """Some utterances, drawn by a hash of their ids: the same ones for every model."""
    ids: tuple[str, ...] = ()
    """In the order of `errors` and `lengths`."""
    errors: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    """By measure: errors of each utterance, int64 of shape (utterances,)."""
    lengths: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    """By measure: reference words or characters of each utterance, int64 of shape (utterances,)."""

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio; below 1 is faster than speech."""
        return self.seconds / self.duration if self.duration else 0.0

    def as_json(self) -> dict[str, Any]:
        """scores.json, except for the names of model and data."""
        return {
            "utterances": self.utterances,
            "duration": round(self.duration, 3),
            "skipped": [{"id": name, "reason": reason} for name, reason in self.skipped],
            "decoding": {name: getattr(self.decoding, name) for name in self.decoding.__dataclass_fields__},
            **{
                text: {metric: self.rates[text, metric].as_json() for metric in ("wer", "cer")}
                for text in ("raw", "normalised")
            },
            "breakdowns": {
                of: {name: group.as_json() for name, group in groups.items()} for of, groups in self.breakdowns.items()
            },
            "worst": [scored.utterance.id for scored in self.worst],
            "confusions": [list(confusion) for confusion in self.confusions],
            "seconds": round(self.seconds, 3),
            "real_time_factor": round(self.real_time_factor, 4),
        }


class Tally:
    """Takes scored utterances one by one and keeps a few numbers of each."""

    def __init__(self, *, worst: int = 20, examples: int = 0, confusions: int = 20) -> None:
        self._n_worst = worst
        self._n_examples = examples
        self._n_confusions = confusions
        self._ids: list[str] = []
        self._total = Group()
        self._arrays = {measure: (array("q"), array("q")) for measure in MEASURES}  # errors, lengths
        self._groups: dict[str, defaultdict[str, Group]] = {
            name: defaultdict(Group) for name in ("duration", "speaker", "language")
        }
        self._confused: Counter[tuple[str, str]] = Counter()
        self._worst: list[tuple[float, int, int, Scored]] = []
        self._examples: list[tuple[int, int, Scored]] = []

    def add(self, scored: Scored) -> None:
        """Count one utterance."""
        self._total.add(scored)
        self._ids.append(scored.utterance.id)
        for measure, (errors, lengths) in self._arrays.items():
            counts = scored.counts(*measure)
            errors.append(counts.errors)
            lengths.append(counts.length)
        utterance = scored.utterance
        self._groups["duration"][duration_bin(utterance.duration or 0.0)].add(scored)
        self._groups["speaker"][utterance.speaker or "unknown"].add(scored)
        self._groups["language"][utterance.language or "unknown"].add(scored)
        self._confused.update(scored.normalised.substitutions())
        self._keep_if_bad(scored)
        digest = hashlib.blake2b(utterance.id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        _keep(self._examples, (int.from_bytes(digest), -len(self._ids), scored), self._n_examples)

    def _keep_if_bad(self, scored: Scored) -> None:
        words = scored.normalised.words
        if not words.errors:
            return
        rate = float("inf") if words.rate is None else words.rate
        _keep(self._worst, (rate, words.errors, -self._total.utterances, scored), self._n_worst)

    def scores(
        self, *, decoding: Decoding, seconds: float, skipped: list[tuple[str, str]] | None = None, seed: int = 0
    ) -> Scores:
        """The result so far."""
        errors = {measure: np.array(pair[0], np.int64) for measure, pair in self._arrays.items()}
        lengths = {measure: np.array(pair[1], np.int64) for measure, pair in self._arrays.items()}
        rates = {
            measure: Rate(self._total.counts[measure], interval(errors[measure], lengths[measure], seed=seed))
            for measure in MEASURES
        }
        return Scores(
            utterances=self._total.utterances,
            duration=self._total.duration,
            rates=rates,
            breakdowns={
                of: dict(sorted(groups.items(), key=lambda item: _order(of, item[0])))
                for of, groups in self._groups.items()
                if len(groups) > 1
            },
            worst=tuple(entry[-1] for entry in sorted(self._worst, key=lambda entry: entry[:3], reverse=True)),
            confusions=tuple((*pair, count) for pair, count in self._confused.most_common(self._n_confusions)),
            skipped=tuple(skipped or ()),
            decoding=decoding,
            seconds=seconds,
            examples=tuple(entry[-1] for entry in sorted(self._examples, key=lambda entry: entry[:2], reverse=True)),
            ids=tuple(self._ids),
            errors=errors,
            lengths=lengths,
        )


def _keep(heap: list[Any], entry: tuple[Any, ...], most: int) -> None:
    """Keep the `most` greatest entries. The number in the place before the last breaks ties."""
    heapq.heappush(heap, entry)
    if len(heap) > most:
        heapq.heappop(heap)


def duration_bin(duration: float) -> str:
    """Name of the bin of the breakdown, for example "2-5 s"."""
    low = 0.0
    for high in EDGES:
        if duration < high:
            return f"{low:g}-{high:g} s"
        low = high
    return f"{low:g} s and more"


def _order(of: str, name: str) -> Any:
    return float(name.split("-")[0].split()[0]) if of == "duration" else name
