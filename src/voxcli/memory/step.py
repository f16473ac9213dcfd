"""A setup and the size of a batch -> the peak memory of a training step, and of an evaluation batch, in bytes.

The step that training takes runs here on fake tensors: the task's loss under autocast, the backward pass, accumulation,
the norm, the optimizer. Nothing is computed; every storage that an operation returns is counted while it lives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from voxcli.memory import batch as batches
from voxcli.memory import optimizers
from voxcli.memory.bundles import Built, built, bundle_of
from voxcli.memory.environment import autocast, environment
from voxcli.memory.evaluation import trace_evaluation
from voxcli.memory.setup import Peak, Setup, Shape, StepPeaks
from voxcli.memory.shapes import Depth
from voxcli.memory.tracker import BLOCK, Tracker
from voxcli.train import ema, mean
from voxcli.train.optimizer import NAMES, groups

__all__ = ["Recording", "StepTrace", "bundle_of", "record", "trace_evaluation", "trace_step", "traced"]


@dataclass(frozen=True)
class StepTrace:
    """What one trace of two optimizer steps says."""

    peaks: StepPeaks
    events: list[tuple[int, int]] | None = field(repr=False)
    """Every allocation (number, bytes) and release (number, -bytes) of two whole steps, in order, weights first."""
    n_ops: int
    """Operations of a step."""
    flops: float
    """Of the forward and backward passes of one batch, with what checkpointing computes again."""


@dataclass(frozen=True)
class Recording:
    """Memory during every operation of a steady step without accumulation: the same operations for every shape."""

    curve: list[int] = field(repr=False)
    """The most bytes during each operation."""
    places: list[tuple[str, str]] = field(repr=False)
    """Phase and module of each."""
    flops: float


def trace_step(setup: Setup, shape: Shape, *, depth: Depth | None = None, events: bool = False) -> StepTrace:
    """The peaks of the first and of a later optimizer step with batches of that shape.

    Raises `ModelError` for a model that cannot run without values, `VoxError` for a shape it does not take.
    """
    with traced(setup, shape, depth=depth, events=events) as (step, tracker):
        before = tracker.n_ops
        first = step()
        n_ops = tracker.n_ops - before
        flops = tracker.flops / len(step.blanks)
        steady = step() if events else step.steady()
        return StepTrace(StepPeaks(first, steady), tracker.events, n_ops, flops)


def record(setup: Setup, shape: Shape, *, depth: Depth | None = None) -> Recording:
    """Forward and backward of one batch, operation by operation, before there is any state of an optimizer."""
    with traced(setup, shape, depth=depth, curve=True) as (step, tracker):
        assert tracker.curve is not None
        step.forward_backward()
        return Recording(list(tracker.curve), list(tracker.places), tracker.flops)


@contextlib.contextmanager
def traced(
    setup: Setup,
    shape: Shape,
    *,
    depth: Depth | None = None,
    events: bool = False,
    curve: bool = False,
    counter: Callable[..., Tracker] = Tracker,
) -> Iterator[tuple[Step, Tracker]]:
    """Within: a training that can take steps, and the tracker that counts it."""
    made = built(setup, depth)
    model, train = made.bundle.model, setup.train
    accumulated = min(train.gradient_accumulation_steps, 2)
    blanks = [batches.Blank(setup, made.bundle, shape) for _ in range(accumulated)]
    tracker = counter(
        model, rounding=BLOCK if setup.device == "cuda" else 1, events=events, curve=curve, run=made.replay
    )
    with environment(setup, made, tracker, blanks[0].chosen):
        tracker.hold_model(model)
        optimizer = _optimizer(setup, model)
        trained = [one.nbytes for one in model.parameters() if one.requires_grad]
        tracker.add("averages", ema.n_bytes(trained, train.ema_decay, rounding=BLOCK if setup.device == "cuda" else 1))
        on_the_cpu = setup.device == "cpu"
        waiting = train.gradient_accumulation_steps - accumulated
        if on_the_cpu and waiting:  # a step's batches are read before it begins
            tracker.add("batch", waiting * blanks[0].n_bytes)
        with tracker.part("batch"):
            here = [blank.tensors() for blank in blanks] if on_the_cpu else []

        yield Step(setup, made, tracker, optimizer, blanks, here), tracker


@dataclass
class Step:
    """One optimizer step after the other, as `voxcli.train.gradients` and the backend do it."""

    setup: Setup
    built: Built
    tracker: Tracker
    optimizer: Any
    blanks: list[batches.Blank]
    here: list[dict[str, Any]]
    """On a CPU, the batches of the step: they lie in memory before it begins."""
    _gradients: Peak = field(default_factory=lambda: Peak(0), init=False)
    _states: int = field(default=0, init=False)

    def __call__(self) -> Peak:
        """Run one step; return its peak."""
        tracker, train, model = self.tracker, self.setup.train, self.built.bundle.model
        tracker.start()
        self.optimizer.zero_grad(set_to_none=True)
        figures = self.forward_backward()
        self._gradients = tracker.peak()
        factor = 1.0 / figures[1].clamp(min=1.0)
        parameters = [one for one in model.parameters() if one.requires_grad]
        with tracker.part("workspace"):
            norm = mean.finish(parameters, factor=factor, max_norm=train.max_grad_norm)
        before = tracker.part_bytes("optimizer")
        with tracker.optimizer_step():
            self.optimizer.step()
        self._states = tracker.part_bytes("optimizer") - before
        del norm
        return tracker.peak()

    def steady(self) -> Peak:
        """The peak of a second step, without taking it whole: forward and backward as in the first, beside the states
        that it has left; and the optimizer once more, with the gradients that are there.
        """
        tracker, before = self.tracker, self._gradients
        tracker.start()
        with tracker.optimizer_step():
            self.optimizer.step()
        update = tracker.peak()
        total = before.total + self._states
        parts = {**before.parts, "optimizer": before.parts["optimizer"] + self._states}
        results = max(update.results, before.results + self._states)
        return replace(
            max(update, replace(before, total=total, parts=parts), key=lambda peak: peak.total), results=results
        )

    def forward_backward(self) -> torch.Tensor:
        """The gradients of every micro-batch; returns the sums of losses and counts."""
        tracker = self.tracker
        figures = torch.zeros(2)
        for index in range(len(self.blanks)):
            tracker.phase = "forward"
            with autocast(self.setup):
                loss, count = self.setup.task.loss(
                    self.built.bundle, self.here[index] if self.here else _moved(self.blanks[index], tracker)
                )
            tracker.phase = "backward"
            (loss * 1.0).backward()
            tracker.phase = ""
            figures += torch.stack([loss.detach().float(), count.detach().float()])
        return figures


def _moved(blank: batches.Blank, tracker: Tracker) -> dict[str, Any]:
    """A batch on a GPU: a copy, which lives as long as the loss needs it."""
    with tracker.part("batch"):
        return blank.tensors()


def _optimizer(setup: Setup, model: torch.nn.Module) -> Any:
    """The optimizer that the backend makes."""
    train = setup.train
    if train.optim in NAMES:
        return optimizers.build(model, train, setup.device)
    # the Trainer knows names that are not known here; taken for its AdamW, which works on all tensors at once on a GPU
    rates = groups(model.named_parameters(), weight_decay=train.weight_decay)
    return torch.optim.AdamW(rates, lr=train.learning_rate, foreach=setup.device == "cuda")
