"""One step's batches -> its summed gradients and figures, and the checks that both backends make of them.

What differs between backends comes in: how the loss is scaled for float16, and the wrapped model that is called.

Where memory runs out the whole step is computed again from the beginning, with the batch that did not fit in halves:
what a failed backward pass has left in the gradients cannot be told from what belongs there. The generators go back to
where the step began, so that batches that are not cut draw the same masks, and so do the running means of batch
normalisation; losses and counts of the halves add up.

Where a loss or a gradient is not finite the step goes back in the same way, its utterances are replayed, and it is
taken again without those at fault (`voxcli.train.culprits`). It costs nothing while nothing happens: the figures that
are logged anyway say so.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from voxcli.engines.halving import forget, is_out_of_memory, release
from voxcli.train import device, guard, mean, measured, precision, processes, randomness
from voxcli.train.collapse import Collapse
from voxcli.train.overview import Overview
from voxcli.train.replay import Replay
from voxcli.train.splitting import Part, Splitter

if TYPE_CHECKING:
    from voxcli.api import Bundle
    from voxcli.train.run import Run
    from voxcli.train.steps import Step

Context = contextlib.AbstractContextManager[Any]


@dataclass(frozen=True)
class _Taken:
    """The newest step, for those who look into it before the weights change."""

    parts: list[Part]
    autocast: Callable[[], Context]
    generators: dict[str, Any]
    statistics: list[tuple[torch.Tensor, torch.Tensor]]


class Gradients:
    """Accumulates the gradients of a run's steps, and refuses what is not finite."""

    def __init__(
        self,
        run: Run,
        *,
        backward: Callable[[torch.Tensor], None],
        scaled: bool,
        alone: bool = True,
        repeatable: bool = True,
    ) -> None:
        """`backward` takes the scalar loss; `scaled` says that it multiplies it further, for float16.

        `alone`: forward and backward pass wait for no other process, so that this one may repeat them. `repeatable`:
        those of the model inside whatever wraps it wait for none.
        """
        self.nothing = False
        """Whether the newest step has lost all its utterances, in all processes: the weights stay as they are."""
        self._run = run
        self._alone = alone
        self._repeatable = repeatable
        self._taken: _Taken | None = None
        self._splitter = Splitter()
        self._backward = backward
        self._scaled = scaled
        self._scale = 0.0  # power of two, decided at the first step
        self._overflows = 0  # steps in a row whose float16 gradient overflowed
        self._before_step = getattr(run.task, "before_step", None)
        self._overview = Overview(run, self._tensors, alone=alone)
        self._collapse = Collapse(run)

    def add(
        self,
        step: Step,
        model: torch.nn.Module,
        *,
        autocast: Callable[[], Context],
        unsynchronised: Callable[[], Context] = contextlib.nullcontext,
    ) -> torch.Tensor:
        """Run every micro-batch forward and backward, all but the last within `unsynchronised`.

        Gradients have to be None before. Returns, summed over all processes and on the device: [losses, count, audio
        s, padded s, processes asked to stop, sum and weight of each figure of the task]. Raises `TrainingError` where
        memory runs out and the step may not be repeated, or where step after step has nothing left.
        """
        run = self._run
        bundle = run.bundle.replace(model=model)
        if self._before_step is not None:
            self._before_step(run.bundle, run.state.step, run.total_steps)
        generators, statistics = randomness.capture(), randomness.statistics(model)
        parts = run.shortage.parts(step)
        stand_ins: list[dict[str, Any]] = []
        if run.sharding is not None:
            given = [(part, tensors) for part in parts if (tensors := self._tensors(step, part))]
            parts = [part for part, _ in given]
            stand_ins = run.sharding.stand_ins([tensors for _, tensors in given])
        self._overview.begin()
        while True:
            with run.assembled() if self._overview.asked else contextlib.nullcontext():
                parts = self._overview.gathered(step, parts, bundle, autocast)
            figures = torch.zeros(2 + 2 * len(measured.names(run.task)), device=run.device)
            failure: tuple[int, str, str] | None = None
            for index, part in enumerate(parts):
                last = index == len(parts) - 1
                with contextlib.nullcontext() if last else unsynchronised():
                    failed = self._attempt(step, part, bundle, autocast, figures)
                if failed is not None:
                    failure = (index, *failed)
                    break
            if failure is None:
                break
            index, where, said = failure
            if not self._alone:
                raise run.shortage.fatal(step, parts[index], where=where, said=said)
            for parameter in run.parameters:
                parameter.grad = None
            release()
            parts = run.shortage.cut(step, parts, index, where=where, said=said)
            randomness.restore(generators)
            randomness.restore_statistics(statistics)
        for tensors in stand_ins:
            self._stand_in(tensors, bundle, autocast)
        if not self._scale and run.world > 1:  # this process had nothing: the others wait for its count
            self._scale = self._first_scale(0.0)
        run.shortage.settled(step, parts)
        self._taken = _Taken(parts, autocast, generators, statistics)
        self.nothing = run.world == 1 and not parts
        more = [*run.shortage.kept(step, parts), float(run.interruption.requested)]
        figures = torch.cat([figures[:2], torch.tensor(more, device=run.device), figures[2:]])
        if run.world > 1:
            torch.distributed.all_reduce(figures)
        return figures

    def _attempt(
        self, step: Step, part: Part, bundle: Bundle, autocast: Callable[[], Context], figures: torch.Tensor
    ) -> tuple[str, str] | None:
        """Add one part's gradients and figures; (where, torch's message) where memory runs out.

        Nothing refers to the graph of a failed pass when this has returned.
        """
        where = "forward pass"
        try:
            made = self._loss(step, part, bundle, autocast)
            if made is None:
                return None
            loss, count, values = made
            if not self._scale:
                self._scale = self._first_scale(float(count))
            where = "backward pass"
            self._backward(loss * self._scale)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            forget(error)
            return where, str(error).splitlines()[0] if str(error) else type(error).__name__
        figures += torch.cat([torch.stack([loss.detach().float(), count.detach().float()]), values.flatten()])
        return None

    def _stand_in(self, tensors: dict[str, Any], bundle: Bundle, autocast: Callable[[], Context]) -> None:
        """A forward and a backward pass that add nothing, for processes that have more parts than this one."""
        run, statistics = self._run, randomness.statistics(bundle.model)
        with randomness.undisturbed():
            with autocast():
                moved = self._overview.added(device.move(tensors, run.device))
                loss = measured.measured_loss(run.task, bundle, moved)[0]
            if not self._scale:
                self._scale = self._first_scale(0.0)
            loss.backward(torch.zeros_like(loss))
        randomness.restore_statistics(statistics)

    def _tensors(self, step: Step, part: Part) -> dict[str, Any]:
        return self._splitter.tensors(part, lambda rows: self._run.again(step.epoch, rows))

    def _loss(
        self, step: Step, part: Part, bundle: Bundle, autocast: Callable[[], Context]
    ) -> measured.Measured | None:
        """Sum, count and figures of a part; None where none of its utterances could be read again."""
        tensors = self._tensors(step, part)
        if not tensors:
            return None
        with autocast():
            moved = device.move(tensors, self._run.device)
            return measured.measured_loss(self._run.task, bundle, self._overview.added(moved))

    def factor(self, figures: torch.Tensor) -> torch.Tensor:
        """What turns the summed gradients into the gradient of the mean, a scalar on the device."""
        return 1.0 / (figures[1].clamp(min=1.0) * (self._scale or 1.0))

    def check(self, step: Step, figures: torch.Tensor, norm: torch.Tensor) -> tuple[dict[str, float], bool] | None:
        """The step's figures as numbers, and whether any process was asked to stop. Waits for the device once.

        None where loss or gradient are not finite and the utterances at fault were set aside: gradients are dropped,
        and the step has to be taken again. Raises `TrainingError` where that is of no use. Single overflows of float16
        are how its scale settles, and the scaler leaves the weights alone then.
        """
        average = figures[0] / figures[1].clamp(min=1.0)
        row = torch.stack([average, norm.to(figures), *figures[1:]])
        loss, grad_norm, count, audio, padded, asked, *values = row.tolist()
        self.nothing = count <= 0
        self._overflows = 0 if math.isfinite(grad_norm) else self._overflows + 1
        for kind, value, bad in (
            ("loss", loss, not math.isfinite(loss)),
            ("gradient", grad_norm, self._overflows > (guard.MOST_OVERFLOWS if self._scaled else 0)),
        ):
            if bad:
                self._overflows = 0
                self._examine(step, kind, value)
                return None
        if math.isfinite(grad_norm) and not self.nothing:
            assert self._taken is not None
            self._run.spikes.seen(step, grad_norm, self._taken.parts, self._watched(step))
        self._taken = None  # its batches may go
        loss = math.nan if self.nothing else loss
        facts = {"loss": loss, "grad_norm": grad_norm, "audio_seconds": audio, "padded_seconds": padded}
        found = measured.averages(self._run.task, torch.tensor(values).view(-1, 2))
        self._collapse.seen(self._run.state.step + 1, found)
        return {**found, **facts}, asked > 0

    def _examine(self, step: Step, kind: str, value: float) -> None:
        """Go back to where the step began, and find what made it not finite."""
        run, taken = self._run, self._taken
        assert taken is not None

        def exact() -> Context:
            return precision.full(run.bundle.model, run.recipe.train)

        replay = Replay(
            [(name, one) for name, one in run.bundle.model.named_parameters() if one.requires_grad],
            tensors=lambda part: self._tensors(step, part),
            loss=lambda part: self._loss(step, part, run.bundle, taken.autocast),
            exact=lambda part: self._loss(step, part, run.bundle, exact),
            backward=lambda loss: self._backward(loss * (self._scale or 1.0)),
        )
        replay.clear()
        randomness.restore(taken.generators)
        try:
            given = replay if self._repeatable else None
            run.culprits.examine(step, taken.parts, given, kind=kind, value=value, together=not self._alone)
        finally:
            replay.clear()
            randomness.restore(taken.generators)
            randomness.restore_statistics(taken.statistics)

    def _watched(self, step: Step) -> Callable[[Part], measured.Measured | None] | None:
        """What computes the loss of a part once more, without gradients."""
        taken = self._taken
        if taken is None or not self._repeatable:
            return None

        return lambda part: self._loss(step, part, self._run.bundle, taken.autocast)

    def _first_scale(self, count: float) -> float:
        """The power of two for this run's steps: from the first micro-batch, the same in all processes."""
        run = self._run
        largest = max(processes.gather(count))
        return mean.power_of_two(largest * run.recipe.train.gradient_accumulation_steps * run.world)
