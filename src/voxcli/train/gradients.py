"""One step's batches -> its summed gradients and figures, and the checks that both backends make of them.

What differs between backends comes in: how the loss is scaled for float16, and the wrapped model that is called.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from voxcli.errors import TrainingError
from voxcli.train import device, guard, mean, processes

if TYPE_CHECKING:
    from voxcli.data.loading import Batch
    from voxcli.train.run import Run
    from voxcli.train.steps import Step

Context = contextlib.AbstractContextManager[Any]


class Gradients:
    """Accumulates the gradients of a run's steps, and refuses what is not finite."""

    def __init__(self, run: Run, *, backward: Callable[[torch.Tensor], None], scaled: bool) -> None:
        """`backward` takes the scalar loss; `scaled` says that it multiplies it further, for float16."""
        self._run = run
        self._backward = backward
        self._scaled = scaled
        self._scale = 0.0  # power of two, decided at the first step
        self._overflows = 0  # steps in a row whose float16 gradient overflowed

    def add(
        self,
        step: Step,
        model: torch.nn.Module,
        *,
        autocast: Callable[[], Context],
        unsynchronised: Callable[[], Context] = contextlib.nullcontext,
    ) -> torch.Tensor:
        """Run every micro-batch forward and backward, all but the last within `unsynchronised`.

        Returns, summed over all processes and on the device: [losses, count, audio s, padded s, processes asked to
        stop]. Raises `TrainingError` where memory runs out.
        """
        run = self._run
        bundle = run.bundle.replace(model=model)
        figures = torch.zeros(2, device=run.device)
        for index, batch in enumerate(step.batches):
            last = index == len(step.batches) - 1
            try:
                with contextlib.nullcontext() if last else unsynchronised():
                    with autocast():
                        loss, count = run.task.loss(bundle, device.move(batch.tensors, run.device))
                    if not self._scale:
                        self._scale = self._first_scale(float(count))
                    self._backward(loss * self._scale)
            except (RuntimeError, MemoryError) as error:
                if not guard.is_out_of_memory(error):
                    raise
                raise self._out_of_memory(step, batch) from error
            figures += torch.stack([loss.detach().float(), count.detach().float()])
        more = [step.audio_duration, step.padded_duration, float(run.interruption.requested)]
        figures = torch.cat([figures, torch.tensor(more, device=run.device)])
        if run.world > 1:
            torch.distributed.all_reduce(figures)
        return figures

    def factor(self, figures: torch.Tensor) -> torch.Tensor:
        """What turns the summed gradients into the gradient of the mean, a scalar on the device."""
        return 1.0 / (figures[1].clamp(min=1.0) * (self._scale or 1.0))

    def check(self, step: Step, figures: torch.Tensor, norm: torch.Tensor) -> tuple[dict[str, float], bool]:
        """The step's figures as numbers, and whether any process was asked to stop. Waits for the device once.

        Raises `TrainingError` where loss or gradient are not finite; single overflows of float16 are how its scale
        settles, and the scaler leaves the weights alone then.
        """
        average = figures[0] / figures[1].clamp(min=1.0)
        loss, grad_norm, audio, padded, asked = torch.stack([average, norm.to(figures), *figures[2:]]).tolist()
        self._overflows = 0 if math.isfinite(grad_norm) else self._overflows + 1
        for kind, bad in (
            ("loss", not math.isfinite(loss)),
            ("gradient", self._overflows > (guard.MOST_OVERFLOWS if self._scaled else 0)),
        ):
            if bad:
                raise guard.not_finite(self._run.incident(step, kind, loss=loss, grad_norm=grad_norm))
        facts = {"loss": loss, "grad_norm": grad_norm, "audio_seconds": audio, "padded_seconds": padded}
        return facts, asked > 0

    def _first_scale(self, count: float) -> float:
        """The power of two for this run's steps: from the first micro-batch, the same in all processes."""
        run = self._run
        largest = max(processes.gather(count))
        return mean.power_of_two(largest * run.recipe.train.gradient_accumulation_steps * run.world)

    def _out_of_memory(self, step: Step, batch: Batch) -> TrainingError:
        run, recipe = self._run, self._run.recipe
        count = len(batch.ids)
        longest = batch.padded_duration / max(count, 1)
        incident = run.incident(step, "memory", utterances=tuple(batch.ids))
        ladder = guard.next_try(recipe.train, recipe.adapter, recipe.quantization, count=count, longest=longest)
        return guard.out_of_memory(
            incident, device=run.device, padded_duration=batch.padded_duration, longest=longest, ladder=ladder
        )
