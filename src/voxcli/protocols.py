"""The contract of each kind of component, as Protocols: what the core asks of it, with shapes, units and errors.

A component need not inherit from them; it has the methods. `voxcli.api` offers all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    import torch

    from voxcli.alphabet import Alphabet, Emission
    from voxcli.api import Bundle, Corpus, Decoding, Limits, Split, Utterance
    from voxcli.predictions import Prediction
    from voxcli.train.run import Run


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

    `shares_batches = True`: `predict` makes of a batch whose items have their references what it makes of the same
    batch without them. Evaluations during training then read each clip once, for the loss and for the prediction, and
    ask the model's encoder once.

    `groups_by_length = False`: batches hold clips of any length unless the recipe asks otherwise.

    A task that classifies has `learns: ClassVar[str] = "label"`: utterances without a label are left out; and
    `reference(utterance, bundle) -> tuple[str, ...]`, the labels that hold of an utterance.

    `next_commands: ClassVar[tuple[str, ...]]` is what `vox train` says at its end instead of `vox evaluate` and
    `vox transcribe`: lines with `{run}` and `{data}`, the run's folder and the recipe.

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
    """The training loop. Its fields are the keys of `[backend]`. Optional beyond the method: `check(train)`, called
    before anything is loaded, raises `RecipeError` for values of `[train]` that it does not have.

    A backend that starts processes of its own, here or on other machines, has
    `launch(job: voxcli.train.launching.Job, *, progress: Progress) -> list[dict] | None`. `vox train` calls it in the
    process that a person started, which then builds no model. Each process it starts either runs `job.command` or
    calls `job.run()`, with `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR` and `MASTER_PORT` set: a process with
    `RANK` trains with `fit` and launches nothing, whoever started it. `launch` returns what `job.run` returned in
    process 0, for `vox train` to report, or None where the processes have printed it themselves (`job.command` does).
    It raises the `VoxError` of a process, `KeyboardInterrupt` where the run was interrupted after a checkpoint, and
    `SystemExit(code)` where a process has said itself why it failed. It ends all processes in every case. Beside it:
    `world`, the number of processes it starts, for `--dry-run`; `storage: Path | None`, where run folders are made
    instead of ./runs; `free_on_resume: ClassVar[frozenset[str]]`, its keys that say where and not what, which may
    differ when a run is resumed.
    """

    supports: ClassVar[frozenset[str]]
    """Keys of `[train]` it honours. A recipe that sets another one is refused."""

    def fit(self, run: Run) -> None:
        """Train until the run's end, an interruption (`KeyboardInterrupt` after a checkpoint) or a `TrainingError`."""
        ...


class Engine(Protocol):
    """A runtime that turns audio into text, or into classes. Optional beyond what is below:

    `exporter: ClassVar[str]` names the exporter that makes what it opens: a run, a checkpoint or a transformers model
    is then exported before `open` is called, once, and `open` gets that folder. `opens(folder) -> bool`, a class or
    static method, says whether a folder is in the engine's own format already; what `vox export` wrote says so itself.

    `options: ClassVar[type]` is a `config` class whose fields are the KEY=VALUE of `--engine-option`; `open` then has
    the keyword `options` and gets an instance of it (None: its defaults).

    An engine that runs the network alone and leaves the rest to the task shows what it runs as `model`, an
    `OpenModel` of `voxcli.checkpoints`: `vox classify` can then cut windows (`--window`, `--by-window`) itself."""

    sampling_rate: int
    decoding: Decoding
    """How text is produced unless the command line says otherwise: the checkpoint's own."""

    @classmethod
    def open(cls, name: str | Path, *, device: str | None = None, batch_duration: float = 120.0) -> Self:
        """Load what `--model` names: a run, a checkpoint, a folder in the engine's own format, a hub id.

        `batch_duration` is how many s of padded audio may share a batch. Raises `ModelError`.
        """
        ...

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> Sequence[Prediction | None]:
        """Several recordings of any length, each (N,) at `sampling_rate`, in order; None: does not fit the memory.

        A `Transcript` each; a `Classification` where the model classifies.
        """
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
    exactly as the field `dtype` allows, before it is kept. `engine: ClassVar[str]` names the engine that runs it:
    checkpoint and folder then decode the same utterances, each by its own engine, and what says otherwise is not kept
    (word error rate by more than half a point or one word, classes of more than 1 % or one utterance). The core adds
    vox.json to such a folder. `repair: str` is what a person may try where that fails: "quantization=float32"."""

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

    def known(self, kind: str, name: str, distribution: str) -> None:
        """Say that another distribution brings a component: a recipe that names it is told what to install."""
        ...
