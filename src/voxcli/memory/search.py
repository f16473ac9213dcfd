"""A setup, its clips and a budget -> every way of training that fits it, the quickest first, and what helps most.

Each variant of the setup is traced twice (`frontier`); optimizers, batches and accumulation are then arithmetic. Where
a batch is too large it is divided, and accumulation keeps the clips of an optimizer step as near as whole numbers
allow; only where even one clip does not fit are the longest clips left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from voxcli.errors import VoxError
from voxcli.memory import speed
from voxcli.memory.batching import Batching
from voxcli.memory.candidates import ROOM, Candidate, recommended, undominated
from voxcli.memory.frontier import Frontier
from voxcli.memory.roles import Mismatch
from voxcli.memory.setup import RESTING, Peak, Setup, Shape
from voxcli.memory.variants import METHODS, Variant, optimizers, variants
from voxcli.memory.worst import Clips
from voxcli.progress import NULL, Progress

LEAST_KEPT = 0.5
"""A proposal that leaves out more than half of the audio is none."""
_SMALL = 0.02  # of the device: optimizer states below it are not worth another optimizer


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    candidates: list[Candidate]
    """What fits, the quickest first."""
    helps_most: Candidate | None
    """The single change that saves most, whether or not it makes the recipe fit."""
    recommended: Candidate | None
    """What changes the recipe least."""
    notes: list[str]
    """What could not be tried."""


@dataclass(frozen=True)
class Evaluation:
    """What the evaluations in between need."""

    batch_duration: float
    """`evaluate.batch_duration`, s."""
    activations: int
    """Bytes at the peak, beside weights, gradients and states."""
    smallest: float
    """s of the smallest batch: one clip as the model pads it."""
    trace: Callable[[Setup], Peak] | None = None
    """The peak of another setup's evaluation; None takes the same activations for all."""


def search(
    setup: Setup,
    clips: Clips,
    *,
    usable: int,
    needed: Callable[[Setup, int], int],
    half: str = "no",
    evaluation: Evaluation | None = None,
    stretch: float = 1.0,
    max_labels: int | None = None,
    progress: Progress = NULL,
) -> Found:
    """Look for what fits `usable` bytes.

    `needed(setup, peak)`: bytes that a device must have for tensors of `peak` bytes (`fixed.needed`). `half`: the half
    precision that the device has. `stretch`: how much longer augmentation makes a clip. `max_labels`: a longer label is
    never in a batch.
    """
    looking = _Search(setup, clips, usable, needed, evaluation, stretch, max_labels)
    tried = list(variants(setup, half=half))
    found: list[Candidate] = []
    singles: list[Candidate] = []
    notes: list[str] = []
    with progress.task("looking for what fits", total=len(tried), unit="variants") as bar:
        for variant in tried:
            bar.advance(1)
            if looking.pointless(variant):
                continue
            try:
                frontier = looking.frontier(variant)
            except (VoxError, Mismatch) as error:
                notes.append(f"not tried: {', '.join(variant.words) or 'the recipe as it is'}: {error}")
            else:
                found += looking.fitting(variant, frontier)
                singles += looking.singles(variant, frontier)
    found.sort(key=lambda one: (-one.speed * one.data_kept, METHODS.index(one.method), len(one.changes)))
    own = looking.own_total
    better = [one for one in singles if own is None or one.total < own]
    helps = min(better, key=lambda one: one.total, default=None)
    return Found(undominated(found), helps, recommended(found), notes)


class _Search:
    """What all variants have in common."""

    def __init__(
        self,
        setup: Setup,
        clips: Clips,
        usable: int,
        needed: Callable[[Setup, int], int],
        evaluation: Evaluation | None,
        stretch: float,
        max_labels: int | None,
    ) -> None:
        self._own, self._clips, self._usable, self._needed = setup, clips, usable, needed
        self._evaluation, self._stretch, self._max_labels = evaluation, stretch, max_labels
        self._shapes: dict[Any, list[Shape]] = {}
        self._products: dict[tuple[str, bool], float] = {}  # of each precision, with and without checkpointing
        self._activations: dict[Any, int] = {}
        self._typical = self._typical_clip()
        self._pace: float | None = None  # s of audio a second, of the recipe as it is
        self._enough: set[bool] = set()  # with or without checkpointing, LoRA fits with the recipe's batches
        self.own_total: int | None = None

    def frontier(self, variant: Variant) -> Frontier:
        """The frontier of a variant; that of the recipe itself sets the pace that others are compared with."""
        made = Frontier.fit(variant.setup)
        train = variant.setup.train
        if variant.setup.quantization is None and variant.setup.adapter is not None:
            key = train.mixed_precision, train.gradient_checkpointing
            self._products[key] = made.flops(self._typical)
        if not variant.changes:
            own = self._candidate(variant, made, {}, (), Batching.of(train), self._clips)
            self.own_total = self._beside_evaluation(own).total
        return made

    def pointless(self, variant: Variant) -> bool:
        """Whether the same without quantisation fits with the recipe's batches: a quantised base is slower."""
        train = variant.setup.train
        return variant.method in ("int8", "nf4") and train.gradient_checkpointing in self._enough

    def fitting(self, variant: Variant, frontier: Frontier) -> list[Candidate]:
        """The variant with the optimizer and the batches with which it fits; empty where none does."""
        made: list[Candidate] = []
        for words, changes in optimizers(variant.setup):
            if changes and frontier.states < _SMALL * self._usable:
                break
            setup = _with_train(variant.setup, changes)
            candidate = self._fitted(variant, frontier.for_setup(setup), changes, words)
            if candidate is None:
                continue
            made.append(candidate)
            smaller = {"train.batch_duration", "train.per_device_train_batch_size"} & set(candidate.changes)
            if not smaller and candidate.margin >= ROOM:
                if variant.method == "lora" and candidate.margin >= ROOM:
                    self._enough.add(variant.setup.train.gradient_checkpointing)
                break  # smaller states would gain nothing
        return made

    def singles(self, variant: Variant, frontier: Frontier) -> list[Candidate]:
        """What one change alone does, with the recipe's own batches."""
        batching = Batching.of(variant.setup.train)
        if variant.changes:
            one_key = len([key for key in variant.changes if key != "train.learning_rate"]) == 1
            whole = self._candidate(variant, frontier, {}, (), batching, self._clips)
            return [self._beside_evaluation(whole)] if one_key else []
        made = []
        for words, changes in optimizers(variant.setup):
            if changes:
                other = frontier.for_setup(_with_train(variant.setup, changes))
                made.append(self._candidate(variant, other, changes, (words,), batching, self._clips))
        for smaller in batching.smaller(self._clips)[1:2]:
            other = frontier.for_setup(smaller.applied(variant.setup))
            made.append(
                self._candidate(variant, other, smaller.changes(batching), (smaller.words,), smaller, self._clips)
            )
        made = [self._beside_evaluation(one) for one in made]
        if (known := self._evaluation) is not None and known.batch_duration / 2 >= known.smallest:
            whole = self._candidate(variant, frontier, {}, (), batching, self._clips)
            changed = replace(
                whole,
                changes={"evaluate.batch_duration": known.batch_duration / 2},
                label=f"evaluation batches of {known.batch_duration / 2:g} s",
            )
            made.append(self._beside_evaluation(changed, share=0.5))
        return made

    def _fitted(self, variant: Variant, frontier: Frontier, changes: Mapping[str, Any], words: str) -> Candidate | None:
        """With the largest batches that fit."""
        own = Batching.of(variant.setup.train)
        sizes = own.smaller(self._clips)

        def made(batching: Batching, clips: Clips, more: Mapping[str, Any], said: tuple[str, ...]) -> Candidate:
            other = frontier.for_setup(batching.applied(frontier.setup))
            all_changes = {**changes, **batching.changes(own), **more}
            all_words = tuple(filter(None, (words, batching.words if batching != own else "", *said)))
            return self._candidate(variant, other, all_changes, all_words, batching, clips)

        low, high = 0, len(sizes)  # the first that fits lies in [low, high]
        best: Candidate | None = None
        while low < high:
            middle = (low + high) // 2 if low else 0
            candidate = made(sizes[middle], self._clips, {}, ())
            if candidate.total <= self._usable:
                best, high = candidate, middle
            else:
                low = middle + 1
        if best is not None:
            return self._with_evaluation(best)
        return self._with_evaluation(self._without_longest(made, sizes[-1]))

    def _without_longest(self, made: Callable[..., Candidate], smallest: Batching) -> Candidate | None:
        """Without the clips that do not fit even alone."""
        lengths = np.unique(np.round(self._clips.durations, 1))
        low, high = 0, len(lengths) - 1
        best: Candidate | None = None
        while low < high:
            middle = (low + high) // 2
            longest = float(lengths[middle])
            clips = self._clips.up_to(longest)
            if len(clips) and clips.share(longest):
                limit = math.floor(10 * longest / self._stretch) / 10
                said = (f"clips up to {limit:g} s",)
                batching = smallest.at_most(longest)
                candidate = made(batching, clips, {"filter.max_duration": limit}, said)
                if candidate.total <= self._usable:
                    best, low = candidate, middle + 1
                    continue
            high = middle
        return best if best is not None and best.data_kept >= LEAST_KEPT else None

    def _worst(self, frontier: Frontier, batching: Batching, clips: Clips) -> Shape:
        key = (batching.duration, batching.size, len(clips))
        if key not in self._shapes:
            shapes = clips.shapes(batch_duration=batching.duration, batch_size=batching.size)
            most = self._max_labels
            if most is not None:
                shapes = [Shape(one.n_utterances, one.duration, min(one.n_labels, most)) for one in shapes]
            self._shapes[key] = shapes
        shapes = self._shapes[key]
        return shapes[int(np.argmax(frontier.totals(shapes)))]

    def _candidate(
        self,
        variant: Variant,
        frontier: Frontier,
        changes: Mapping[str, Any],
        words: tuple[str, ...],
        batching: Batching,
        clips: Clips,
    ) -> Candidate:
        shape = self._worst(frontier, batching, clips)
        peaks = frontier.peak(shape)
        total = self._needed(frontier.setup, peaks.worst.total)
        pace = self._audio_a_second(frontier, batching)
        if self._pace is None:
            self._pace = pace
        return Candidate(
            label=", ".join((*variant.words, *words)) or "the recipe as it is",
            changes={**variant.changes, **changes},
            setup=frontier.setup,
            shape=shape,
            peaks=peaks,
            resting=frontier.beside_activations,
            total=total,
            margin=1.0 - total / self._usable,
            speed=pace / self._pace,
            data_kept=float(clips.durations.sum() / self._clips.durations.sum()),
            method=variant.method,
        )

    def _with_evaluation(self, candidate: Candidate | None) -> Candidate | None:
        """With evaluation batches that fit beside it; None where not even one clip's evaluation does."""
        known = self._evaluation
        if candidate is None or known is None:
            return candidate
        needed = self._needed(candidate.setup, candidate.resting + self._activations_of(candidate))
        changes, label, evaluation = dict(candidate.changes), candidate.label, candidate.resting
        evaluation += self._activations_of(candidate)
        if needed > self._usable:
            free = self._largest(candidate.setup, room=ROOM) - candidate.resting
            duration = known.batch_duration * free / max(self._activations_of(candidate), 1)
            duration = max(float(math.floor(duration)), known.smallest)
            evaluation = candidate.resting + round(self._activations_of(candidate) * duration / known.batch_duration)
            needed = self._needed(candidate.setup, evaluation)
            if needed > self._usable:
                return None
            changes["evaluate.batch_duration"] = duration
            label += f", evaluation batches of {duration:g} s"
        total = max(candidate.total, needed)
        margin = 1.0 - total / self._usable
        return replace(candidate, changes=changes, label=label, evaluation=evaluation, total=total, margin=margin)

    def _beside_evaluation(self, candidate: Candidate, *, share: float = 1.0) -> Candidate:
        """With what evaluation batches need, a `share` of the recipe's, whether or not that fits."""
        if self._evaluation is None:
            return candidate
        evaluation = candidate.resting + round(share * self._activations_of(candidate))
        total = max(candidate.total, self._needed(candidate.setup, evaluation))
        return replace(candidate, total=total, margin=1.0 - total / self._usable, evaluation=evaluation)

    def _activations_of(self, candidate: Candidate) -> int:
        """Bytes of an evaluation beside what rests in memory; traced where they decide."""
        known = self._evaluation
        assert known is not None
        setup = candidate.setup
        key = (setup.train.mixed_precision, setup.train.frozen_dtype, repr(setup.quantization), setup.adapter is None)
        if key not in self._activations:
            self._activations[key] = known.activations
            decides = self._needed(setup, candidate.resting + round(1.2 * known.activations)) > self._usable
            if decides and candidate.changes and known.trace is not None:
                peak = known.trace(setup)
                self._activations[key] = peak.total - sum(peak.parts.get(part, 0) for part in RESTING)
        return self._activations[key]

    def _largest(self, setup: Setup, *, room: float) -> int:
        """The highest peak of tensors that leaves a share of the device free, bytes."""
        low, high = 0, self._usable
        while high - low > 2**16:
            middle = (low + high) // 2
            fits = self._needed(setup, middle) <= self._usable * (1.0 - room)
            low, high = (middle, high) if fits else (low, middle)
        return low

    def _typical_clip(self) -> Shape:
        """A clip of mean length and label."""
        labelled = self._clips.labels[self._clips.labels > 0]
        labels = float(labelled.mean()) if len(labelled) else 1.0
        return Shape(1, float(self._clips.durations.mean()), max(1, round(labels)))

    def _audio_a_second(self, frontier: Frontier, batching: Batching) -> float:
        """s of audio that a second of training takes; an estimate."""
        length = float(self._clips.lengths.mean())
        count = len(self._clips) if batching.size is None else batching.size
        if batching.duration is not None:
            count = max(1, int(batching.duration / max(length, 1e-3)))
        shape = Shape(count, self._typical.duration, self._typical.n_labels)
        train = frontier.setup.train
        products = None
        if frontier.setup.quantization is not None:  # bitsandbytes' own kernels are not counted
            alike = self._products.get((train.mixed_precision, train.gradient_checkpointing))
            products = alike * count if alike is not None else None
        return count * shape.duration / speed.seconds(frontier, shape, products=products)


def _with_train(setup: Setup, changes: Mapping[str, Any]) -> Setup:
    return setup.with_train(**{key.removeprefix("train."): value for key, value in changes.items()})
