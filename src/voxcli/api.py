"""Everything a plugin imports: what goes into a component, what comes out, and the contract of each kind.

Importing this module costs the standard library and pluggy; numpy and torch appear in annotations only.

Letters in docstrings: B batch, N samples, T frames, C mel bins, L target tokens, V vocabulary. Audio is float32, mono,
in [-1, 1], shape (N,). Times and durations are seconds, rates are Hz, sizes are bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, dataclass_transform, runtime_checkable

import pluggy

from voxcli.alphabet import Alphabet, Emission
from voxcli.findings import Check, Finding, Fix
from voxcli.others import Others
from voxcli.predictions import Classification, Prediction, Segment, Transcript, Word

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    import torch

    from voxcli.train.run import Run

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
    decoder: dict[str, Any] | None = None
    """The table `[decoder]` with its `type`; None is greedy. CTC models only."""


# ------------------------------------------------------------------------------------------------------------ protocols


@runtime_checkable
class Dataset(Protocol):
    """Where utterances come from. Optional beyond the method below:

    `fingerprint(split) -> str` is a hash of all that decides `utterances(split)`, cheaper than listing them; the index
    of durations is kept under it. `splits_present() -> tuple[Split, ...]` says which splits exist without listing
    them; without it each split is asked for and may be empty. `columns(split) -> Iterator[pyarrow.RecordBatch]` yields
    the same utterances as `utterances`, many at a time: columns id, audio (a path), offset, duration, text, label,
    speaker, language; it may raise `NotImplementedError` at any point, and the utterances are then listed one by one.
    `live: bool` and `stream(split)` are for what is read without being listed, see `voxcli.datasets.live.Live`.
    """

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The utterances of a split in a fixed order, without reading audio. A split that does not exist is empty.

        Raises `DataError` for a source that cannot be read at all; a single bad row is yielded or skipped with a
        warning by `logging`, never raised.
        """
        ...


@runtime_checkable
class Augmentation(Protocol):
    """A change of training audio. The core applies it with probability `p`, in the recipe's order. Optional beyond the
    methods below: `shortest(duration) -> float`, the shortest that a clip of `duration` s can become; without it a clip
    counts as never shortened. `idle(sampling_rate) -> str | None` says why its keys change nothing, where they do not.
    `scales_time: ClassVar[bool]` is True where a change of length is one of speed: times of segments then follow.
    `blend(utterance, audio, sampling_rate, rng, others) -> (audio, utterance)` is called instead where it is there: it
    may play other utterances of the training split (`Others`) and may change the text.
    """

    p: float

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """Audio (N,) -> (M,), float32. All randomness is drawn from `rng`, so that a resumed run repeats itself."""
        ...

    def longest(self, duration: float) -> float:
        """The longest a clip of `duration` s can become, s."""
        ...


@runtime_checkable
class ModelFamily(Protocol):
    """Architectures that are loaded, limited and adapted in one way. Its fields are the keys of `[model]`."""

    task: ClassVar[str]
    """Name of the task that trains it, for example "ctc"."""

    def limits(self) -> Limits:
        """What the model can take. Reads config.json at most, never weights. Raises `ModelError`."""
        ...

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load or initialise the model. `loading` goes to `from_pretrained`: dtype, device_map, quantization_config.

        Raises `ModelError` where the checkpoint is missing or of another architecture.
        """
        ...


@runtime_checkable
class Task(Protocol):
    """What is learned: features, batches, the loss, predictions and their scores. Optional beyond what is below:
    `trained_with_adapter: ClassVar[tuple[str, ...]]` names the layers that `[adapter]` trains whole and never
    quantises, because they are new or belong to the labels: `("lm_head",)`, `("projector", "classifier")`. The last
    part of a layer's name counts; what a model does not have is passed over; `modules_to_save` overrides them.

    A task that has more to say of a step than its loss (codevector perplexity, share masked) names it in
    `figures: ClassVar[tuple[str, ...]]` and has `measured_loss(bundle, batch) -> (sum, count, values)`: as `loss`, and
    values of shape (len(figures), 2), float32, the sum and the weight of each figure, without gradient. They are added
    up over the batches and processes of a step, divided, and logged under their names beside the loss; in evaluation
    likewise, and `metrics` may name them. `before_step(bundle, step, total_steps)` is called before each optimizer
    step, with the number of steps taken, for what follows a schedule of its own (a temperature).

    A task that draws what it makes of a clip (masks, crops) has `drawn_features(utterance, audio, bundle, rng)`, which
    is called instead of `features`; `rng` follows from seed, epoch (0 in evaluation) and utterance. `transcripts:
    ClassVar[bool]` is False where utterances without text are of use. A loss that does not add up over batches has
    `overview(bundle, batch) -> (values,)`, float32, without gradient: their sum over all batches and processes of a
    step is there as `batch["overview"]` when the step's losses are asked for, unless one batch is all of it.

    `groups_by_length = False`: batches hold clips of any length unless the recipe asks otherwise.

    A task that classifies has `learns: ClassVar[str] = "label"`: utterances without a label are left out; and
    `reference(utterance, bundle) -> tuple[str, ...]`, the labels that hold of an utterance.

    `candidates(table, limits, bundle) -> (rows,) bool` says of all rows of a `voxcli.data.table.Table` at once which
    `problem` may refuse; it is then asked about these only. Tokenizing a million transcripts takes minutes.
    `align(bundle, batch, utterances)` says where the texts of a batch are spoken, for `vox align`.
    """

    metrics: ClassVar[tuple[str, ...]]
    """Names that `[evaluate] metrics` may hold, in the default order."""

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) at the model's rate and its transcript -> one item. Runs in worker processes without the model."""
        ...

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> one padded batch of tensors. Runs in worker processes without the model."""
        ...

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """The *sum* of the losses and the *count* it is divided by, both scalars; the sum carries the gradient.

        Sum and count, so that accumulated and distributed steps give exactly the mean of the whole batch.
        `bundle.model` may be wrapped (DistributedDataParallel, torch.compile); it has to be called, not reached into.
        """
        ...

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> Sequence[Any]:
        """B transcripts or classifications (`Prediction`), in the batch's order.

        Nothing the size of the logits outlives the call.
        """
        ...

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Any:
        """The `Prediction` for one recording of any length, shape (N,) at the model's rate."""
        ...

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """Why an utterance cannot be trained on (label too long, too few frames), or None."""
        ...


@runtime_checkable
class Backend(Protocol):
    """The training loop. Its fields are the keys of `[backend]`."""

    supports: ClassVar[frozenset[str]]
    """Keys of `[train]` it honours. A recipe that sets another one is refused."""

    def fit(self, run: Run) -> None:
        """Train until the run's end, an interruption (`KeyboardInterrupt` after a checkpoint) or a `TrainingError`."""
        ...


class Engine(Protocol):
    """A runtime that turns audio into text."""

    sampling_rate: int
    decoding: Decoding
    """How text is produced unless the command line says otherwise: the checkpoint's own."""

    @classmethod
    def open(cls, name: str | Path, *, device: str | None = None, batch_duration: float = 120.0) -> Self:
        """Load what `--model` names: a run, a checkpoint, a folder in the engine's own format, a hub id.

        `batch_duration` is how many s of padded audio may share a batch. Raises `ModelError`.
        """
        ...

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> Sequence[Transcript | None]:
        """Several recordings of any length, each (N,) at `sampling_rate`, in order; None: does not fit the memory."""
        ...


class Decoder(Protocol):
    """Turns the frames of a CTC model into tokens. Its fields are the keys of `[decoder]`. Optional beyond the method:
    `check(alphabet)`, called before anything is decoded, raises `DataError` where it does not fit the model."""

    def decode(self, log_probabilities: np.ndarray, alphabet: Alphabet) -> Sequence[Emission]:
        """Natural log-probabilities (T, V) of a recording, float32 -> its tokens in order, without blanks."""
        ...


class Exporter(Protocol):
    """Turns a checkpoint into another format. Its fields are the KEY=VALUE of `vox export`. Optional beyond the method:
    `ordinary: ClassVar[bool]` is True where voxcli opens the result; it is then compared with the checkpoint, as
    exactly as the field `dtype` allows, before it is kept."""

    def export(self, checkpoint: Path, out: Path) -> Path:
        """Write into the empty folder `out` and return it; it takes its final name afterwards. Raises `ModelError`."""
        ...


KINDS = ("dataset", "augmentation", "model", "task", "backend", "decoder", "engine", "exporter", "check")
"""The kinds of component a plugin can register."""


class ComponentRegistry(Protocol):
    """What `vox_register` receives."""

    def add(self, kind: str, name: str, target: str, *, summary: str = "") -> None:
        """Offer a component: `target` is "module:Class" and is imported when a recipe asks for it."""
        ...


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
