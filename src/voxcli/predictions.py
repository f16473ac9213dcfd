"""What a model says of a recording: its text with times, or its classes. Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its place in the audio, s."""

    text: str
    start: float
    end: float
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a transcript with its place in the audio, s."""

    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one recording."""

    text: str
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    duration: float = 0.0
    """Length of the audio, s."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The classes of one recording."""

    labels: tuple[str, ...]
    """Every class of the model, the most probable first."""
    scores: tuple[float, ...]
    """Their probabilities, in the order of `labels`: they sum to 1, or each is one by itself where several may hold."""
    chosen: tuple[str, ...] = ()
    """What the recording is taken for: the first label, or all those above the threshold."""
    duration: float = 0.0
    """Length of the audio, s."""


Prediction = Transcript | Classification
"""What a task predicts of one recording."""
