"""What the memory of a training step depends on, and how the answer is given: shared by everything in this folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from voxcli.api import Corpus, ModelFamily, Task
from voxcli.recipe.schema import Adapter, Quantization, Train

if TYPE_CHECKING:
    from voxcli.recipe.resolve import Recipe

PARTS = ("weights", "trained weights", "gradients", "optimizer", "averages", "batch", "activations", "workspace")
"""What a peak is broken down into, in the order in which it is shown. `weights` are frozen ones, `averages` those
of `ema_decay`; `workspace` is what an operation needs for itself while it runs."""
RESTING = ("weights", "trained weights", "gradients", "optimizer", "averages")
"""Parts that lie in memory whatever the batch."""


@dataclass(frozen=True)
class Setup:
    """Everything in a recipe that decides the memory of a step, apart from the size of its batch."""

    family: ModelFamily
    task: Task
    corpus: Corpus
    train: Train
    adapter: Adapter | None = None
    quantization: Quantization | None = None
    backend: str = "accelerate"
    device: Literal["cuda", "cpu"] = "cuda"
    """Whose kernels are followed: which attention, which precision of which operation, which masks are kept."""
    capability: tuple[int, int] = (8, 0)
    """CUDA compute capability; flash attention needs (8, 0)."""

    @classmethod
    def of(cls, recipe: Recipe, corpus: Corpus, *, device: Literal["cuda", "cpu"], **more: Any) -> Setup:
        """What a resolved recipe says."""
        return cls(
            family=recipe.model,
            task=recipe.task,
            corpus=corpus,
            train=recipe.train,
            adapter=recipe.adapter,
            quantization=recipe.quantization,
            backend=str(recipe.tables["backend"]["type"]),
            device=device,
            **more,
        )

    def replace(self, **changes: Any) -> Setup:
        """A copy with the given fields changed."""
        return replace(self, **changes)

    def with_train(self, **changes: Any) -> Setup:
        """A copy with the given keys of `[train]` changed."""
        return replace(self, train=replace(self.train, **changes))


@dataclass(frozen=True, order=True)
class Shape:
    """The size of a batch."""

    n_utterances: int
    duration: float
    """The longest clip as the task receives it, after augmentation, s. What the model pads it to is the family's."""
    n_labels: int
    """The longest label, in tokens as the task collates them (prefix and end token included)."""


@dataclass(frozen=True)
class Peak:
    """The most bytes of tensors that are alive at one time, each rounded up as the device's allocator rounds."""

    total: int
    parts: dict[str, int] = field(default_factory=dict)
    """`PARTS` -> bytes; they add up to `total`."""
    phase: str = ""
    """"forward", "backward" or "optimizer"; "decoding" in an evaluation."""
    where: str = ""
    """The module at work at the peak, for example "model.decoder.layers.3.fc1"; empty where it is not known."""
    results: int = 0
    """The most bytes of what operations return, without what their kernels take for themselves: what a count of live
    tensors shows. 0 where it was not counted apart."""


@dataclass(frozen=True)
class StepPeaks:
    """The peaks of training."""

    first: Peak
    """The first optimizer step: its states come into being."""
    steady: Peak
    """Every later step."""

    @property
    def worst(self) -> Peak:
        """The larger of the two."""
        return max(self.first, self.steady, key=lambda peak: peak.total)
