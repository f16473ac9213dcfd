"""Everything a plugin imports: what goes into a component, what comes out, and the contract of each kind.

Importing this module costs the standard library and pluggy; numpy and torch appear in annotations only.

Letters in docstrings: B batch, N samples, T frames, C mel bins, L target tokens, V vocabulary. Audio is float32, mono,
in [-1, 1], shape (N,). Times and durations are seconds, rates are Hz, sizes are bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, dataclass_transform

import pluggy

from voxcli.alphabet import Alphabet, Emission
from voxcli.findings import Check, Finding, Fix
from voxcli.others import Others
from voxcli.predictions import Classification, Prediction, Segment, Transcript, Word
from voxcli.protocols import (
    KINDS,
    Augmentation,
    Backend,
    ComponentRegistry,
    Dataset,
    Decoder,
    Engine,
    Exporter,
    ModelFamily,
    Task,
)

if TYPE_CHECKING:
    import numpy as np
    import torch

API_VERSION = 1  # raised when a component written for the version before would no longer work

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

hookimpl = pluggy.HookimplMarker("voxcli")
"""Marks a plugin's implementation of one of the six hooks in `voxcli.plugins.hooks`."""

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[_T]) -> type[_T]:
    """Make a class a component: a frozen dataclass whose fields are the keys of its recipe table.

    Unknown keys and wrong types in the recipe become errors that name the key and its line. A string under a field is
    its help text; it reaches `vox recipe schema`.

        @config
        class Gain:
            p: float = 1.0
            '''Share of the training utterances that are changed.'''
            gain_db: tuple[float, float] = (-6.0, 6.0)
            '''Range in dB, drawn uniformly.'''
    """
    made = dataclass(frozen=True, kw_only=True)(cls)
    # pydantic reads this attribute from ordinary dataclasses, so a component needs no pydantic import
    made.__pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # type: ignore[attr-defined]
    return made


# ---------------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of speech and what is known about it. The audio is read only when a batch needs it."""

    id: str
    """Unique within its data set; appears in logs, findings and result files."""
    audio: Path | Callable[[], tuple[np.ndarray, int]]
    """A file, or a picklable callable that returns samples of shape (N,) or (N, channels) and their rate in Hz."""
    offset: float = 0.0
    """Where the utterance begins in the audio, s."""
    duration: float | None = None
    """Length in s; None means "from the header, to the end of the audio"."""
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    language: str | None = None
    segments: tuple[Segment, ...] = ()
    """Stretches of the text with their times in the clip, s, where the data have them."""
    previous: str | None = None
    """What was said just before, in the same recording; None where nobody knows."""

    def replace(self, **changes: Any) -> Utterance:
        """A copy with the given fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class Corpus:
    """What a model must know of the training split before it is built."""

    characters: str
    """Every character of the normalised training transcripts once, sorted by code point."""
    labels: tuple[str, ...]
    """Every label once, sorted."""
    n_utterances: int
    duration: float
    """Sum over the training split, s."""
    label_counts: tuple[int, ...] = ()
    """Utterances with each of `labels`."""


@dataclass(frozen=True)
class Limits:
    """What a model can take, read from its config alone."""

    sampling_rate: int
    min_duration: float
    """Shortest clip the network can process, s."""
    max_duration: float
    """Longest clip it can process in one piece, s; infinity where nothing but memory limits it."""
    stride: int
    """Audio samples per output frame of the acoustic encoder."""
    max_label_length: int | None
    """Longest target in tokens, or None where only the number of frames limits it."""
    n_parameters: int


@dataclass(frozen=True)
class Bundle:
    """A built model and what turns audio and text into its inputs.

    Worker processes receive a bundle whose `model` is None: features must need the processor and the family only.
    """

    model: torch.nn.Module
    processor: Any
    """A transformers processor: feature extractor and tokenizer."""
    family: ModelFamily

    def replace(self, **changes: Any) -> Bundle:
        """A copy with the given fields changed."""
        return dataclasses.replace(self, **changes)


# ------------------------------------------------------------------------------------------------- text that comes out


@config
class Decoding:
    """How text is produced: one object for evaluation during training, `vox evaluate` and `vox transcribe`."""

    num_beams: int = 1
    """Beams of the search; 1 is greedy. Time and memory grow with it. Seq2seq models only."""
    max_new_tokens: int | None = None
    """Longest output in tokens; None means what the model's positions allow."""
    no_repeat_ngram_size: int = 0
    """Forbid a repeated n-gram of this length; 0 allows all. Seq2seq models only."""
    language: str | None = None
    """Language of the speech; None means the checkpoint's own, or detection where the model can."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """`translate` into English, where the model can."""
    timestamps: Literal["none", "segment", "word"] = "none"
    """What times are wanted with the text."""
    long_audio: Literal["sequential", "windows"] = "sequential"
    """Recordings beyond the model's window. `sequential`: one window after the other, each begun where the last
    segment ended, decoded again at higher temperatures where it repeats itself. `windows`: cut where it is quiet and
    decoded in batches; faster, less careful. CTC models always use overlapping windows."""
    stop_repeats: bool = False
    """End a text that goes round in circles early, as evaluations during training do. Greedy seq2seq models only."""
    decoder: dict[str, Any] | None = None
    """The table `[decoder]` with its `type`; None is greedy. CTC models only."""


__all__ = [
    "API_VERSION",
    "KINDS",
    "SPLITS",
    "Alphabet",
    "Augmentation",
    "Backend",
    "Bundle",
    "Check",
    "Classification",
    "ComponentRegistry",
    "Corpus",
    "Dataset",
    "Decoder",
    "Decoding",
    "Emission",
    "Engine",
    "Exporter",
    "Finding",
    "Fix",
    "Limits",
    "ModelFamily",
    "Others",
    "Prediction",
    "Segment",
    "Split",
    "Task",
    "Transcript",
    "Utterance",
    "Word",
    "config",
    "field",
    "hookimpl",
]
