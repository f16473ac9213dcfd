"""Two short traces -> the peak memory of a training step for every size of a batch and every optimizer, at once.

Every storage of a step grows with the batch in one way: not at all, with B, with B x frames, B x frames squared, B x
labels … Two recordings of different sizes say with which, and the sum over the storages that live during an operation
is a polynomial of the batch. The peak is the largest of these polynomials; the layers that a shortened model lacks are
repetitions of the one in its middle. What a state of an optimizer and an accumulated gradient take is added in closed
form. The numbers are those of `voxcli.memory.step.trace_step` for the whole model, to about 0.1 %.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voxcli.data import kept
from voxcli.memory import optimizers, roles, traces
from voxcli.memory.growth import FEATURES, Frames, coefficients
from voxcli.memory.roles import Mismatch, Recording, Repeat, Weights
from voxcli.memory.setup import PARTS, Peak, Setup, Shape, StepPeaks
from voxcli.memory.tracker import BLOCK, KINDS
from voxcli.train import ema

Floats = NDArray[np.float64]

log = logging.getLogger(__name__)

_GRADIENTS, _OPTIMIZER, _BATCH = KINDS["gradients"], KINDS["optimizer"], KINDS["batch"]
_ACTIVATIONS, _WORKSPACE = KINDS["activations"], KINDS["workspace"]
_MOST_CLIPS = 4096  # of one batch


@dataclass(frozen=True)
class Rows:
    """What lives during each operation of the whole model's step, as polynomials. Operations that can never be the peak
    are left out.
    """

    by_part: Floats = field(repr=False)
    """Shape (rows, parts, features), bytes."""
    places: list[tuple[str, str]] = field(repr=False)
    """Phase and module of each row."""
    last: Floats = field(repr=False)
    """What is left when the backward pass is over, (parts, features)."""
    flops: Floats = field(repr=False)
    """Of forward and backward pass, (features,)."""
    moved: Floats = field(repr=False)
    """Bytes that operations return, (features,)."""
    n_kernels: int
    """Operations of the whole model's forward and backward pass that write something."""

    @cached_property
    def total(self) -> Floats:
        """(rows, features), bytes."""
        made: Floats = self.by_part.sum(axis=1)
        return made


@dataclass(frozen=True)
class Frontier:
    """The memory of a setup's training step as a function of the batch."""

    setup: Setup
    frames: Frames
    weights: Weights
    rows: Rows = field(repr=False)
    accumulating: Rows = field(repr=False)
    """The same where gradients of the micro-batch before are there."""
    shortened: bool = True
    """Whether the layers between the first and the last were extrapolated."""

    @classmethod
    def fit(cls, setup: Setup, *, shortened: bool = True) -> Frontier:
        """Trace a setup twice. Raises what tracing raises: `ModelError`, or `VoxError` for sizes it does not take."""
        key = f"{shortened} {_decisive(setup)!r}"
        if key not in _kept:
            while len(_kept) >= _MOST_KEPT:
                _kept.pop(next(iter(_kept)))
            name = traces.name_of(setup, key)
            made = None if name is None else cls._read(setup, name)
            if made is None:
                made = cls._traced(setup, shortened)
                if name is not None:
                    made._write(name)
            _kept[key] = made
        return _kept[key].for_setup(setup)

    @classmethod
    def _traced(cls, setup: Setup, shortened: bool) -> Frontier:
        try:
            made = roles.pair(setup, shortened=shortened)
        except Mismatch:
            if not shortened:
                raise
            made = roles.pair(setup, shortened=False)
        rounding = BLOCK if setup.device == "cuda" else 1
        growth = coefficients(made.small.sizes, made.large.sizes, made.sizes, rounding=rounding)
        whole, accumulating = _rows(made.small, made.large, made.sizes, growth)
        return cls(setup, made.frames, made.weights, whole, accumulating, shortened=bool(made.small.repeats))

    @classmethod
    def _read(cls, setup: Setup, name: str) -> Frontier | None:
        stored = kept.read(name)
        try:
            return None if stored is None else cls._of_arrays(setup, stored)
        except (KeyError, ValueError, TypeError) as error:
            log.info("%s is made anew: %s: %s", name, type(error).__name__, error)
            return None

    @classmethod
    def _of_arrays(cls, setup: Setup, stored: kept.Arrays) -> Frontier:
        facts = kept.value(stored["facts"])

        def rows(part: str) -> Rows:
            arrays = {name: stored[f"{part}.{name}"] for name in _ARRAYS}
            places = [(str(phase), str(module)) for phase, module in facts[part]["places"]]
            return Rows(places=places, n_kernels=int(facts[part]["n_kernels"]), **arrays)

        sizes = tuple(tuple(map(int, size)) for size in facts["sizes"])
        weights = Weights(int(facts["frozen"]), int(facts["trained"]), sizes)
        shortened = bool(facts["shortened"])
        return cls(setup, Frames.of(setup), weights, rows("rows"), rows("accumulating"), shortened=shortened)

    def _write(self, name: str) -> None:
        parts = {"rows": self.rows, "accumulating": self.accumulating}
        arrays = {f"{part}.{key}": getattr(rows, key) for part, rows in parts.items() for key in _ARRAYS}
        facts = {part: {"places": rows.places, "n_kernels": rows.n_kernels} for part, rows in parts.items()}
        weights = {"frozen": self.weights.frozen, "trained": self.weights.trained, "sizes": self.weights.sizes}
        kept.write(name, arrays | {"facts": kept.text(facts | weights | {"shortened": self.shortened})})

    def for_setup(self, setup: Setup) -> Frontier:
        """The frontier of a setup that differs in its optimizer, accumulation or batches only."""
        return Frontier(setup, self.frames, self.weights, self.rows, self.accumulating, self.shortened)

    def peak(self, shape: Shape) -> StepPeaks:
        """The peaks of the first and of every later step with batches of that shape."""
        features = self.frames.features(shape)
        rows = self._rows_of_step
        at = int(np.argmax(rows.total @ features))
        parts = np.rint(rows.by_part[at] @ features).astype(np.int64) + self._fixed
        phase, where = rows.places[at]
        states = np.zeros(len(PARTS), dtype=np.int64)
        states[_OPTIMIZER] = self._states
        update = np.rint(rows.last @ features).astype(np.int64) + self._fixed + states
        update[_WORKSPACE] += self._temporaries
        in_step, in_update = _peak(parts, phase, where), _peak(update, "optimizer", "")
        steady = _peak(parts + states, phase, where)
        return StepPeaks(
            first=max(in_step, in_update, key=lambda one: one.total),
            steady=max(steady, in_update, key=lambda one: one.total),
        )

    def totals(self, shapes: Sequence[Shape]) -> NDArray[np.int64]:
        """The higher peak of each shape, bytes. Shape (shapes,)."""
        features = np.stack([self.frames.features(shape) for shape in shapes], axis=1)
        rows = self._rows_of_step
        step = (rows.total @ features).max(axis=0)
        update = rows.last.sum(axis=0) @ features + self._temporaries
        found: NDArray[np.int64] = np.rint(np.maximum(step, update)).astype(np.int64)
        return found + int(self._fixed.sum()) + self._states

    def total(self, shape: Shape) -> int:
        """The higher peak of one shape, bytes."""
        return int(self.totals([shape])[0])

    def largest(self, budget: float, duration: float, n_labels: int) -> int:
        """The most clips of a batch, each of `duration` s with `n_labels` tokens, that stay within `budget` bytes."""
        low, high = 0, _MOST_CLIPS
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.total(Shape(middle, duration, n_labels)) <= budget
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def flops(self, shape: Shape) -> float:
        """Of the forward and backward pass of a batch, with what checkpointing computes again."""
        return float(self.rows.flops @ self.frames.features(shape))

    def moved(self, shape: Shape) -> float:
        """Bytes that the operations of a forward and backward pass write."""
        return float(self.rows.moved @ self.frames.features(shape))

    @property
    def states(self) -> int:
        """Bytes of optimizer states."""
        return self._states

    @property
    def n_trained(self) -> int:
        """Parameters that are trained."""
        return sum(math.prod(size) for size in self.weights.sizes)

    @property
    def paged(self) -> int:
        """Bytes of optimizer states that can be paged out to main memory."""
        return optimizers.paged_bytes(self.weights.sizes, self.setup.train.optim)

    @cached_property
    def beside_activations(self) -> int:
        """Bytes of weights, gradients and optimizer states: what lies in memory between two steps."""
        rounding = BLOCK if self.setup.device == "cuda" else 1
        gradients = sum(4 * n + -(4 * n) % rounding for n in map(math.prod, self.weights.sizes))
        return int(self._fixed.sum()) + self._states + gradients

    @property
    def _rows_of_step(self) -> Rows:
        return self.accumulating if self.setup.train.gradient_accumulation_steps > 1 else self.rows

    @cached_property
    def _fixed(self) -> NDArray[np.int64]:
        fixed = np.zeros(len(PARTS), dtype=np.int64)
        fixed[KINDS["weights"]], fixed[KINDS["trained weights"]] = self.weights.frozen, self.weights.trained
        rounding = BLOCK if self.setup.device == "cuda" else 1
        trained = [4 * math.prod(size) for size in self.weights.sizes]
        fixed[KINDS["averages"]] = ema.n_bytes(trained, self.setup.train.ema_decay, rounding=rounding)
        return fixed

    @cached_property
    def _states(self) -> int:
        return optimizers.state_bytes(self.weights.sizes, self.setup.train.optim, self.setup.device)

    @cached_property
    def _temporaries(self) -> int:
        train = self.setup.train
        matrices = [size for size in self.weights.sizes if len(size) >= 2]
        vectors = [size for size in self.weights.sizes if len(size) < 2]
        return max(
            optimizers.step_bytes(matrices, train.optim, self.setup.device, weight_decay=train.weight_decay),
            optimizers.step_bytes(vectors, train.optim, self.setup.device),
        )


_ARRAYS = ("by_part", "last", "flops", "moved")  # of Rows
_MOST_KEPT = 32
_kept: dict[str, Frontier] = {}


def _decisive(setup: Setup) -> Setup:
    """The setup without what no trace depends on."""
    return setup.with_train(
        optim="sgd",
        learning_rate=0.0,
        weight_decay=0.0,
        ema_decay=None,
        gradient_accumulation_steps=1,
        batch_duration=None,
        per_device_train_batch_size=None,
    )


def _peak(parts: NDArray[np.int64], phase: str, where: str) -> Peak:
    named = {name: int(value) for name, value in zip(PARTS, parts, strict=True)}
    return Peak(total=int(parts.sum()), parts=named, phase=phase, where=where)


# ---------------------------------------------------------------------------------------- from storages to polynomials


def _rows(small: Recording, large: Recording, sizes: tuple[Floats, Floats], growth: Floats) -> tuple[Rows, Rows]:
    """The polynomials of a step, and of a micro-batch after the first."""
    flops = coefficients(small.flops, large.flops, sizes)
    moved = coefficients(small.moved, large.moved, sizes)
    times = np.ones(small.n_ops)
    for repeat in small.repeats:
        times[repeat.first : repeat.after] = repeat.times
    counted = (times @ flops, times @ moved, int(times[small.moved > 0].sum()))
    by_part, ops, layers, last = _expanded(small, growth)
    places = [_renamed(small.places[op], layer, small) for op, layer in zip(ops, layers, strict=True)]
    held = last[_GRADIENTS]
    again = by_part.copy()  # a new gradient lives until it is added to the one that is there
    again[:, _GRADIENTS] = held
    again[:, _BATCH] += last[_BATCH]  # both micro-batches, where the first is still there
    forward = np.asarray([phase == "forward" for phase, _ in places])
    again[forward, _ACTIVATIONS] += last[_ACTIVATIONS]  # what the loss before keeps until there is another
    left = last.copy()
    left[_BATCH] *= 2
    return _pruned(by_part, places, last, *counted), _pruned(again, places, left, *counted)


def _expanded(made: Recording, growth: Floats) -> tuple[Floats, list[int], list[int], Floats]:
    """Rows (n, parts, features) of the whole model, the operation and the layer (-1: none) of each, and what is left.

    Every layer that is missing repeats what the middle one changes; its operations are highest in their first or in
    their last repetition, because each adds the same.
    """
    n_ops = made.n_ops
    births = np.zeros((n_ops + 1, len(PARTS), growth.shape[1]))
    changes = np.zeros_like(births)
    became = made.received < made.ends
    np.add.at(births, (made.begins, made.kinds), growth)
    np.add.at(changes, (made.received[became], made.kinds[became]), -growth[became])
    gradients = np.full(int(became.sum()), _GRADIENTS)
    np.add.at(changes, (made.received[became], gradients), growth[became])
    kinds_at_end = np.where(became, _GRADIENTS, made.kinds)
    np.add.at(changes, (made.ends, kinds_at_end), -growth * (made.ends < n_ops)[:, None])
    for repeat in made.repeats:
        together = _freed_together(made, repeat)
        np.add.at(changes, (made.ends[together], kinds_at_end[together]), -(repeat.times - 1) * growth[together])
    alive = np.cumsum(births + changes, axis=0)
    before = alive - births  # as an operation begins

    pieces: list[Floats] = []
    ops: list[int] = []
    layers: list[int] = []
    offset = np.zeros(alive.shape[1:])
    at = 0
    for repeat in made.repeats:
        pieces.append(alive[at : repeat.first] + offset)
        ops += range(at, repeat.first)
        layers += [-1] * (repeat.first - at)
        step = before[repeat.after] - before[repeat.first]
        ends = ((0, 0), (repeat.times - 1, repeat.times - 1)) if repeat.times > 1 else ((0, 0),)
        for number, _ in ends:
            pieces.append(alive[repeat.first : repeat.after] + offset + number * step)
            ops += range(repeat.first, repeat.after)
            layer = repeat.times - number if repeat.backward else 1 + number
            layers += [layer] * (repeat.after - repeat.first)
        offset = offset + (repeat.times - 1) * step
        at = repeat.after
    pieces.append(alive[at:n_ops] + offset)
    ops += range(at, n_ops)
    layers += [-1] * (n_ops - at)
    return np.concatenate(pieces), ops, layers, alive[n_ops] + offset


def _freed_together(made: Recording, repeat: Repeat) -> NDArray[np.int64]:
    """The storages of the middle layer that are freed when the layers are over, at once with those of all others.

    What a layer hands to the next is freed there instead, at the latest just behind the last one; of it there is one.
    """
    inside = (made.begins >= repeat.first) & (made.begins < repeat.after) & (made.ends < made.n_ops)
    for same in (one for one in made.repeats if one.stack == repeat.stack):
        inside &= (made.ends < same.seen[0]) | (made.ends > same.seen[1])
    deaths = np.stack([made.sizes, made.ends], axis=1)
    earlier = deaths[(made.begins >= repeat.seen[0]) & (made.begins < repeat.first)]
    later = deaths[(made.begins >= repeat.after) & (made.begins < repeat.seen[1])]
    both = set(map(tuple, earlier.tolist())) & set(map(tuple, later.tolist()))
    found = [int(one) for one in np.flatnonzero(inside) if tuple(deaths[one].tolist()) in both]
    return np.asarray(found, dtype=np.int64)


def _renamed(place: tuple[str, str], layer: int, made: Recording) -> tuple[str, str]:
    """The place with the number that the layer has in the whole model."""
    phase, where = place
    for stack in {repeat.stack for repeat in made.repeats}:
        if match := re.match(re.escape(stack.name) + r"\.(\d+)(.*)", where):
            number = int(match[1])
            if layer >= 0 and number == 1:
                number = layer
            elif number == roles.DEPTH - 1:
                number = stack.size - 1
            return phase, f"{stack.name}.{number}{match[2]}"
    return place


def _pruned(
    by_part: Floats, places: list[tuple[str, str]], last: Floats, flops: Floats, moved: Floats, n_kernels: int
) -> Rows:
    """Without the rows that another one exceeds in every term."""
    total = by_part.sum(axis=1)
    different = np.unique(np.rint(total), axis=0, return_index=True)[1]
    kept: list[int] = []
    highest = np.empty_like(total)
    # what is high for a large batch is likely to exceed the others
    for row in different[np.argsort(-total[different] @ _LARGE, kind="stable")]:
        if not (highest[: len(kept)] >= total[row] - 1.0).all(axis=1).any():
            highest[len(kept)] = total[row]
            kept.append(int(row))
    return Rows(by_part[kept], [places[row] for row in kept], last, flops, moved, n_kernels)


_LARGE = np.asarray([float(feature(16.0, 500.0, 500.5, 100.0)) for feature in FEATURES.values()])


def check(frontier: Frontier, shape: Shape) -> float:
    """How far the frontier is from the trace of the whole model at one shape, relative; negative is too low."""
    from voxcli.memory.step import trace_step

    exact = trace_step(frontier.setup, shape).peaks.worst.total
    return frontier.peak(shape).worst.total / exact - 1.0 if exact else math.inf
