"""A step whose loss or gradient is not finite, taken apart: the utterances that are at fault alone.

Each part of the step is computed once more by itself, with the generators where they stood before it. A part that is
not finite is cut in halves, each begun with the same generators, down to single utterances. A loss can be finite while
its gradient is not, so both are looked at. Nothing here waits for another process, and whoever asks puts gradients,
generators and running means back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from voxcli.engines.halving import forget, is_out_of_memory, release
from voxcli.train import mean, randomness
from voxcli.train.measured import Measured
from voxcli.train.sharding import local
from voxcli.train.splitting import Part

Loss = Callable[[Part], Measured | None]
"""A part -> its loss, summed, its count and figures; None where none of it can be read again."""


@dataclass(frozen=True)
class Outcome:
    """What a part gave by itself."""

    loss: float = 0.0
    norm: float = 0.0
    """Of its gradient, as it was scaled."""
    parameter: str | None = None
    """The first one, by the order of the modules, whose gradient is not finite."""

    @property
    def finite(self) -> bool:
        """Whether it may be learned from."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


@dataclass(frozen=True)
class Fault:
    """One utterance that is at fault alone."""

    part: Part
    outcome: Outcome


@dataclass(frozen=True)
class Replayed:
    """What a step gave, part by part."""

    faults: list[Fault]
    together: list[Part]
    """Not finite, though each half of it is."""
    parameter: str | None
    """The first whose gradient is not finite in the first part that is at fault."""


class Replay:
    """Computes parts of one run's steps again.

    `loss` and `backward` are those of the step; `exact` is the loss in float32, whatever the step's precision is.
    `tensors` are those of a part, `parameters` the trained ones by name, in the order of the modules.
    """

    def __init__(
        self,
        parameters: Sequence[tuple[str, torch.nn.Parameter]],
        *,
        tensors: Callable[[Part], dict[str, Any]],
        loss: Loss,
        backward: Callable[[torch.Tensor], None],
        exact: Loss,
    ) -> None:
        self.tensors = tensors
        self._parameters = parameters
        self._loss, self._exact, self._backward = loss, exact, backward

    def step(self, parts: Sequence[Part]) -> Replayed:
        """Every part by itself. The generators have to stand where the step began."""
        found = Replayed([], [], None)
        for part in parts:
            before = randomness.capture()
            outcome = self.look(part)
            after = randomness.capture()
            if outcome is None or not outcome.finite:
                faults = list(self._within(part, outcome, before))
                named = outcome.parameter if outcome is not None else None
                together = [] if faults else [part]
                found = Replayed(found.faults + faults, found.together + together, found.parameter or named)
            randomness.restore(after)
        return found

    def _within(self, part: Part, outcome: Outcome | None, before: dict[str, Any]) -> Iterator[Fault]:
        if len(part.positions) == 1:
            if outcome is not None:
                yield Fault(part, outcome)
            return
        for half in part.halves():
            randomness.restore(before)
            again = self.look(half)
            if again is None or not again.finite:
                yield from self._within(half, again, before)

    def look(self, part: Part, *, exactly: bool = False) -> Outcome | None:
        """Forward and backward pass of one part; None where it cannot be said: memory runs out.

        `exactly`: in float32, without the scale of float16.
        """
        self.clear()
        outcome: Outcome | None = None
        try:
            made = (self._exact if exactly else self._loss)(part)
            if made is None:
                return Outcome()
            loss = float(made[0].detach())
            (torch.Tensor.backward if exactly else self._backward)(made[0])
            norm, parameter = self._gradient()
            outcome = Outcome(loss, norm, parameter)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            forget(error)
            release()
        finally:
            self.clear()
        return outcome

    def clear(self) -> None:
        """Drop the gradients."""
        for _, parameter in self._parameters:
            parameter.grad = None

    def _gradient(self) -> tuple[float, str | None]:
        present = mean.gradients(parameter for _, parameter in self._parameters)
        norm = float(torch.nn.utils.get_total_norm(present)) if present else 0.0
        if math.isfinite(norm):
            return norm, None
        return norm, first_not_finite((name, one.grad) for name, one in self._parameters if one.grad is not None)


def first_not_finite(tensors: Any) -> str | None:
    """The name of the first tensor, of (name, tensor) pairs, that holds something that is not finite."""
    for name, tensor in tensors:
        if tensor.is_floating_point() and not bool(torch.isfinite(local(tensor)).all()):
            return str(name)
    return None
