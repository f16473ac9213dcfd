"""One traced step -> every storage with the operations between which it lives, and which operations are which layer's.

The operations of a step are the same for every size of a batch, so two recordings tell how each storage grows. The
layers of a stack repeat each other's operations, so a model of three layers a stack tells what one of thirty-two does:
`Repeat` says which operations stand for the layers that are missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxcli.errors import ModelError
from voxcli.memory.batch import Blank
from voxcli.memory.bundles import bundle_of
from voxcli.memory.growth import Frames
from voxcli.memory.setup import Setup, Shape
from voxcli.memory.tracker import BLOCK, KINDS, Tracker

Ints = NDArray[np.int64]

DEPTH = 3
"""Layers of a shortened stack: the first, the last, and one that stands for all between them."""
_ACTIVATIONS = KINDS["activations"]
_WEIGHTS = (KINDS["weights"], KINDS["trained weights"])


@dataclass(frozen=True)
class Stack:
    """Layers of one kind, one after the other."""

    name: str
    """Of the module that lists them, for example "model.encoder.layers"."""
    size: int
    """Layers of the whole model."""


@dataclass(frozen=True)
class Repeat:
    """Operations first … after - 1 stand for `times` layers, of which the trace has one."""

    stack: Stack
    first: int
    after: int
    times: int
    backward: bool
    seen: tuple[int, int]
    """From the stack's first operation of that phase to the one after its last: what layers hand to each other lives
    and dies within."""


@dataclass(frozen=True)
class Recording:
    """Forward and backward pass of one batch. Storages are in the order of their allocation."""

    sizes: Ints = field(repr=False)
    """Bytes of each storage."""
    begins: Ints = field(repr=False)
    """The operation that allocates it."""
    ends: Ints = field(repr=False)
    """The first operation that runs without it; `n_ops` where it outlives the step."""
    kinds: Ints = field(repr=False)
    """Index into `PARTS`; of what becomes a gradient, what it was before."""
    received: Ints = field(repr=False)
    """The operation from which it is a gradient; `n_ops` where it never is."""
    places: list[tuple[str, str]] = field(repr=False)
    """Phase and module of each operation."""
    flops: Ints = field(repr=False)
    """Of each operation, in matrix products and convolutions."""
    moved: Ints = field(repr=False)
    """Bytes that each operation returns: what memory-bound ones cost."""
    repeats: tuple[Repeat, ...] = ()

    @property
    def n_ops(self) -> int:
        """Operations of the trace."""
        return len(self.places)


class Recorder(Tracker):
    """A tracker that notes what it sees, operation by operation, up to the optimizer's step."""

    def __init__(self, model: nn.Module | None = None, *, rounding: int = 1, **more: Any) -> None:
        self._sizes: list[int] = []
        self._begins: list[int] = []
        self._ends: dict[int, int] = {}
        self._kinds: list[int] = []
        self._received: dict[int, int] = {}
        self._where: list[tuple[str, str]] = []
        self._flops: list[int] = []
        self._moved: list[int] = []
        self._index: dict[int, int] = {}
        super().__init__(model)

    def recording(self, repeats: Sequence[Repeat] = ()) -> Recording:
        """What has been noted."""
        phases = [phase for phase, _ in self._where]
        n_ops = phases.index("optimizer") if "optimizer" in phases else len(phases)
        begins = np.asarray(self._begins, dtype=np.int64)
        kept = np.flatnonzero((begins < n_ops) & ~np.isin(self._kinds, _WEIGHTS))

        def column(of: dict[int, int]) -> Ints:
            return np.minimum(np.asarray([of.get(int(one), n_ops) for one in kept], dtype=np.int64), n_ops)

        return Recording(
            sizes=np.asarray(self._sizes, dtype=np.int64)[kept],
            begins=begins[kept],
            ends=column(self._ends),
            kinds=np.asarray(self._kinds, dtype=np.int64)[kept],
            received=column(self._received),
            places=self._where[:n_ops],
            flops=np.asarray(self._flops[:n_ops], dtype=np.int64),
            moved=np.asarray(self._moved[:n_ops], dtype=np.int64),
            repeats=tuple(repeats),
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before, returned = self.flops, len(self._sizes)
        out = super().__torch_dispatch__(func, types, args, kwargs)
        self._where.append((self.phase, self.place()))
        self._flops.append(self.flops - before)
        self._moved.append(sum(self._sizes[returned:]) or (out.nbytes if _in_place(func, out) else 0))
        return out

    def workspace(self, n_bytes: int) -> None:
        super().workspace(n_bytes)
        self._sizes.append(n_bytes)
        self._begins.append(len(self._where))
        self._ends[len(self._sizes) - 1] = len(self._where) + 1
        self._kinds.append(KINDS["workspace"])

    def _add(self, storage: Any, kind: int) -> None:
        super()._add(storage, kind)
        self._index[self._order] = len(self._sizes)
        self._sizes.append(storage.nbytes())
        self._begins.append(len(self._where))
        self._kinds.append(kind)

    def _freed(self, record: Any) -> None:
        super()._freed(record)
        self._ends[self._index[record.order]] = len(self._where)

    def _move(self, record: Any, kind: int) -> None:
        super()._move(record, kind)
        index = self._index[record.order]
        if kind == KINDS["gradients"]:
            self._received[index] = len(self._where)
        elif kind in _WEIGHTS:
            self._kinds[index] = kind


def _in_place(func: Any, out: Any) -> bool:
    return isinstance(out, torch.Tensor) and func._schema.is_mutable


@dataclass(frozen=True)
class Weights:
    """What a model's own tensors take."""

    frozen: int
    """Bytes of what is not trained, buffers too."""
    trained: int
    sizes: tuple[tuple[int, ...], ...] = field(repr=False)
    """Of each trained parameter, in the model's order as far as the layers of a stack allow."""


@dataclass(frozen=True)
class Pair:
    """Two recordings of one setup that tell with what each storage grows."""

    small: Recording
    large: Recording
    sizes: tuple[Any, Any]
    """The features of the two batches, see `growth.FEATURES`."""
    frames: Frames
    weights: Weights


class Mismatch(ModelError):
    """The two traces are not of the same operations: what a model does depends on the size of its batch."""


def pair(setup: Setup, *, shortened: bool = True) -> Pair:
    """Trace a setup with two sizes of a batch. Raises `Mismatch`, and what `record` raises."""
    frames = Frames.of(setup)
    found = stacks(setup) if shortened else ()
    one, other = frames.two_shapes()
    small, few = record(setup, one, found)
    large, many = record(setup, other, found)
    if not _same(small, large):  # layers of bitsandbytes convert their bias when they are first called
        small, few = record(setup, one, found)
    if not _same(small, large):
        raise Mismatch(
            f"batches of different sizes run different operations ({small.n_ops} and {large.n_ops}), so that no size "
            "tells of another",
            help="the recipe itself can be predicted: vox plan RECIPE --no-search",
        )
    sizes = [
        frames.features(Shape(shape.n_utterances, shape.duration, n_labels))
        for shape, n_labels in ((one, few), (other, many))
    ]
    model = bundle_of(setup, DEPTH if found else None).model
    rounding = BLOCK if setup.device == "cuda" else 1
    return Pair(small, large, (sizes[0], sizes[1]), frames, weights(model, found, rounding))


def _same(one: Recording, other: Recording) -> bool:
    return one.n_ops == other.n_ops and np.array_equal(one.begins, other.begins)


def record(setup: Setup, shape: Shape, found: Sequence[Stack] = ()) -> tuple[Recording, int]:
    """Forward and backward of one batch of that shape, of a model whose stacks `found` are shortened; and the tokens
    that its labels really have.

    Raises `ModelError` for a model that cannot run without values, `VoxError` for a shape it does not take.
    """
    from voxcli.memory.step import traced

    alone = setup.with_train(gradient_accumulation_steps=1, optim="sgd")  # what neither changes is recorded
    depth = DEPTH if found else None
    labels = Blank(alone, bundle_of(alone, depth), shape).tensors().get("labels")
    with traced(alone, shape, depth=depth, counter=Recorder) as (step, tracker):
        step.forward_backward()
        assert isinstance(tracker, Recorder)
        made = tracker.recording()
    n_labels = shape.n_labels if labels is None else labels.numel() // shape.n_utterances
    repeats = [repeat for stack in found for repeat in _repeats(stack, made.places)]
    return replace(made, repeats=tuple(sorted(repeats, key=lambda one: one.first))), n_labels


_stacks: dict[str, tuple[Stack, ...]] = {}


def stacks(setup: Setup) -> tuple[Stack, ...]:
    """The stacks that can be shortened: longer than `DEPTH` layers, all but the first and the last of them alike.

    Empty where layers between the first and the last differ (some are frozen, some have an adapter): then only the
    whole model will do.
    """
    if any("*" in group or ".layers." in group for group in setup.train.freeze):
        return ()
    plain = setup
    if setup.adapter is None or not (set(_NOT_ALIKE) & set(_changed(setup.adapter))):
        plain = setup.replace(adapter=None, quantization=None)  # they change all layers alike, and cost time to build
        plain = plain.with_train(gradient_checkpointing=False, frozen_dtype="float32")
        plain = plain.replace(family=_unfrozen(plain.family))
    key = repr((plain.family, plain.corpus.characters, plain.corpus.labels, plain.adapter, plain.train))
    if key not in _stacks:
        _stacks[key] = _find(bundle_of(plain).model, bundle_of(plain, DEPTH).model)
    wrapped = bundle_of(setup, DEPTH).model if _stacks[key] else None
    names = [] if wrapped is None else [name for name, _ in wrapped.named_modules()]
    return tuple(
        Stack(name, stack.size)
        for stack in _stacks[key]
        for name in names
        if name == stack.name or name.endswith(f".{stack.name}")
    )


def _unfrozen(family: Any) -> Any:
    """A family without the keys that freeze a stack as a whole, or nothing of it."""
    keys = {key: False for key in ("freeze_encoder", "freeze_feature_encoder") if getattr(family, key, False) is True}
    return replace(family, **keys) if keys else family


def _find(whole: nn.Module, short: nn.Module) -> tuple[Stack, ...]:
    lengths = {name: len(module) for name, module in short.named_modules() if isinstance(module, nn.ModuleList)}
    found = []
    for name, module in whole.named_modules():
        if not isinstance(module, nn.ModuleList) or lengths.get(name) in (None, len(module)):
            continue
        if lengths[name] != DEPTH or len({_described(layer) for layer in list(module)[1:-1]}) != 1:
            return ()
        found.append(Stack(name, len(module)))
    return tuple(found)


_NOT_ALIKE = ("layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "layer_replication")
"""Keys of peft.LoraConfig by which layers differ."""


def _changed(adapter: Any) -> list[str]:
    return [one.name for one in fields(adapter) if getattr(adapter, one.name) not in (None, {}, (), [])]


def _described(layer: nn.Module) -> tuple[Any, ...]:
    """What has to be equal for two layers to need the same memory."""
    parameters = tuple((n, tuple(p.shape), p.dtype, p.requires_grad) for n, p in layer.named_parameters())
    return type(layer).__name__, parameters


def _repeats(stack: Stack, places: Sequence[tuple[str, str]]) -> list[Repeat]:
    """Where the middle layer of a shortened stack stands in the forward and in the backward pass."""
    pattern = re.compile(re.escape(stack.name) + r"\.(\d+)(\.|$)")
    at: dict[tuple[bool, int], list[int]] = {}
    for number, (phase, place) in enumerate(places):
        if phase in ("forward", "backward") and (match := pattern.match(place)):
            at.setdefault((phase == "backward", int(match[1])), []).append(number)
    made = []
    for backward, following in ((False, 2), (True, 0)):
        middle = at.get((backward, 1))
        if middle is None:
            continue
        ends = [numbers[-1] + 1 for (phase, _), numbers in at.items() if phase == backward]
        begins = [numbers[0] for (phase, _), numbers in at.items() if phase == backward]
        after = at.get((backward, following), [middle[-1] + 1])[0]
        made.append(
            Repeat(stack, middle[0], max(after, middle[0]), stack.size - DEPTH + 1, backward, (min(begins), max(ends)))
        )
    return made


def weights(model: nn.Module, found: Sequence[Stack], rounding: int) -> Weights:
    """What the whole model's tensors take, of a model whose stacks are shortened. Tied ones count once."""
    middle = [(f"{stack.name}.1.", stack.size - DEPTH + 1) for stack in found]
    frozen = trained = 0
    sizes: list[tuple[int, ...]] = []
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        times = next((times for start, times in middle if name.startswith(start)), 1)
        n_bytes = tensor.numel() * tensor.element_size()
        n_bytes = times * (n_bytes + -n_bytes % rounding)
        if tensor.requires_grad:
            trained += n_bytes
            sizes += [tuple(tensor.shape)] * times
        else:
            frozen += n_bytes
    return Weights(frozen, trained, tuple(sizes))
