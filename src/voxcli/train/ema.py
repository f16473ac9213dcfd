"""Trained weights -> their exponential moving average, by which a run is evaluated and saved (`[train] ema_decay`).

Polyak and Juditsky (1992) average over all steps; an average that forgets (Tarvainen and Valpola, arXiv 1703.01780)
follows a model that still learns. The decay rises to what was asked for, min(decay, (1 + n) / (10 + n)) after n steps,
as in TensorFlow's ExponentialMovingAverage: else the random beginning would stand in it for thousands of steps.

The training itself goes on with the raw weights. Both lie in a checkpoint: the average as the model, the raw weights in
the training state. Buffers (means and variances of batch normalisation) are averages already and stay as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from voxcli.errors import TrainingError


class Average:
    """The moving average of the parameters that are trained, on their devices, in their types.

    It begins as a copy of the parameters: of new ones, or of the averages that `checkpoint.load_weights` has read.
    """

    def __init__(self, named: Mapping[str, torch.nn.Parameter], *, decay: float) -> None:
        self._named = dict(named)
        self._decay = decay
        self._averages = [parameter.detach().clone() for parameter in self._named.values()]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The averages, in the order of the parameters."""
        return list(self._averages)

    def decay(self, step: int) -> float:
        """What is kept of the average at a step, counted from 1."""
        return min(self._decay, (1.0 + step) / (10.0 + step))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        torch._foreach_lerp_(self._averages, [one.detach() for one in self._named.values()], 1.0 - self.decay(step))

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Within: the model has the averages for weights. Nothing is copied; not while a backward pass is to come."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def capture(self) -> dict[str, torch.Tensor]:
        """The raw weights, by name, for a checkpoint whose model is the average."""
        return {name: parameter.detach() for name, parameter in self._named.items()}

    @torch.no_grad()
    def restore(self, raw: Mapping[str, Any]) -> None:
        """Give the model the raw weights that `capture` returned; the averages stay what they are.

        Raises `TrainingError` where they are those of another model.
        """
        if set(raw) != set(self._named):
            other = sorted(set(raw) ^ set(self._named))
            raise TrainingError(
                f"the checkpoint's raw weights are not those of this model: {', '.join(other[:3])}",
                help="continue with the recipe that the run began with, or begin another run",
            )
        for name, parameter in self._named.items():
            parameter.copy_(raw[name])

    def _exchange(self) -> None:
        for index, parameter in enumerate(self._named.values()):
            self._averages[index], parameter.data = parameter.data, self._averages[index]


def average_of(model: torch.nn.Module, decay: float | None) -> Average | None:
    """The average of a model's trained parameters; None where none is asked for."""
    if decay is None:
        return None
    return Average({name: one for name, one in model.named_parameters() if one.requires_grad}, decay=decay)


def n_bytes(sizes: Iterable[int], decay: float | None, *, rounding: int = 1) -> int:
    """Bytes of the averages of parameters of `sizes` bytes each, every one rounded up to a multiple of `rounding`."""
    return sum(size + -size % rounding for size in sizes) if decay is not None else 0
