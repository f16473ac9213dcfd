"""What a task says of a batch beside its loss: sums and weights that become figures in the log and in evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from voxcli.api import Bundle, Task
from voxcli.tasks.metrics import METRICS

Measured = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""(sum of the losses, count, values of shape (figures, 2): the sum and the weight of each figure)."""


def names(task: Task) -> tuple[str, ...]:
    """The figures of a task, in the order of the rows of its values."""
    return tuple(getattr(task, "figures", ()))


def predicts(task: Task) -> bool:
    """Whether a task produces anything to score beside the figures of its loss."""
    others = [name for name in task.metrics if name not in names(task)]
    return any(name not in METRICS or METRICS[name].compute is not None for name in others)


def measured_loss(task: Task, bundle: Bundle, batch: Mapping[str, Any]) -> Measured:
    """`Task.measured_loss`, or `Task.loss` without figures where a task has none."""
    if not names(task):
        total, count = task.loss(bundle, batch)
        return total, count, torch.zeros((0, 2), device=total.device)
    made: Measured = task.measured_loss(bundle, batch)  # type: ignore[attr-defined]
    return made


def averages(task: Task, values: torch.Tensor) -> dict[str, float]:
    """Summed values (figures, 2) -> each figure; one that was never weighed is left out."""
    rows = zip(names(task), values.tolist(), strict=True)
    return {name: total / weight for name, (total, weight) in rows if weight > 0 and math.isfinite(total)}
