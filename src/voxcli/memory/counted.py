"""What training and evaluation really take: a step runs on the present device, and its tensors are counted.

torch's own allocators decide: on CUDA by their statistics, on the CPU by the allocations and releases that the profiler
reports (https://docs.pytorch.org/docs/stable/profiler.html). The tracker of `voxcli.memory.tracker` runs beside them
and tells what the bytes were; what an operation allocates within itself, which it cannot see, counts as workspace.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import torch

from voxcli.api import Bundle, Decoding
from voxcli.memory import batch as batches
from voxcli.memory.environment import wrapped_by_accelerate
from voxcli.memory.setup import Peak, Setup, Shape, StepPeaks
from voxcli.memory.tracker import BLOCK, Tracker
from voxcli.train import device as devices
from voxcli.train import ema, loading, mean, optimizer
from voxcli.train.measured import predicts

_MARK = "voxcli:mark"


def count_step(
    setup: Setup, batch: Shape | Sequence[dict[str, Any]], *, bundle: Bundle | None = None, steps: int = 2
) -> StepPeaks:
    """The peaks of the first and of the last of `steps` optimizer steps, run for real on `setup.device`.

    `batch` is the shape of every micro-batch, or the micro-batches of a step as the task collates them. `bundle` is the
    model as `voxcli.train.loading.build` makes it on that device; None builds it. Its weights change. Raises what the
    model raises, and torch.OutOfMemoryError.
    """
    made = bundle or build(setup)
    here, model, train = torch.device(setup.device), made.model, setup.train
    if isinstance(batch, Shape):
        batch = [batches.tensors(setup, made, batch) for _ in range(train.gradient_accumulation_steps)]
    with _counting(model.train(), here) as count:
        trained = _optimizer(setup, model, here)
        scaler = torch.amp.GradScaler(here.type) if train.mixed_precision == "fp16" else None
        count.tracker.hold(_tensors_of(batch, here), "batch")
        average = ema.average_of(model, train.ema_decay)
        count.tracker.hold(average.tensors if average is not None else (), "averages")
        for _ in range(steps):
            count.begin()
            trained.zero_grad(set_to_none=True)
            _one_step(setup, made, batch, count.tracker, trained, scaler)
            count.end()
        trained.zero_grad(set_to_none=True)
    found = count.peaks()
    return StepPeaks(first=found[0], steady=found[-1])


def count_evaluation(
    setup: Setup, batch: Shape | dict[str, Any], decoding: Decoding, *, bundle: Bundle | None = None
) -> Peak:
    """The peak of one evaluation batch, its loss and its decoding, run for real on `setup.device`."""
    made = bundle or build(setup)
    here, model = torch.device(setup.device), made.model
    tensors = batches.tensors(setup, made, batch) if isinstance(batch, Shape) else batch
    with _counting(model.eval(), here) as count, torch.no_grad():
        count.tracker.hold(_tensors_of([tensors], here), "batch")
        count.begin()
        count.tracker.phase = "decoding"
        with devices.autocast(here, setup.train.mixed_precision):
            moved = devices.move(tensors, here)
            setup.task.loss(made, moved)
            if predicts(setup.task):
                setup.task.predict(made, moved, decoding)
        count.end()
    return count.peaks()[0]


def build(setup: Setup) -> Bundle:
    """The real model of a setup, on its device, in training mode."""
    return loading.build(
        setup.family,
        setup.corpus,
        train=setup.train,
        adapter=setup.adapter,
        quantization=setup.quantization,
        task=setup.task,
        device=setup.device,
    )


def _one_step(
    setup: Setup,
    bundle: Bundle,
    batch: Sequence[dict[str, Any]],
    tracker: Tracker,
    trained: Any,
    scaler: torch.amp.GradScaler | None,
) -> None:
    """Forward, backward and update as the backends and `voxcli.train.gradients` do them."""
    train, here = setup.train, torch.device(setup.device)
    figures = torch.zeros(2, device=here)
    scale = 0.0
    for tensors in batch:
        tracker.phase = "forward"
        with _precision(setup, bundle.model, here):
            loss, count = setup.task.loss(bundle, devices.move(tensors, here))
        tracker.phase = "backward"
        scale = scale or mean.power_of_two(float(count) * train.gradient_accumulation_steps)
        scaled = loss * scale
        (scaler.scale(scaled) if scaler else scaled).backward()
        del scaled
        tracker.phase = ""
        figures += torch.stack([loss.detach().float(), count.detach().float()])
    if scaler:
        scaler.unscale_(trained)
    parameters = [parameter for parameter in bundle.model.parameters() if parameter.requires_grad]
    with tracker.part("workspace"):
        factor = 1.0 / (figures[1].clamp(min=1.0) * scale)
        mean.finish(parameters, factor=factor, max_norm=train.max_grad_norm)
    with tracker.optimizer_step():
        if scaler:
            scaler.step(trained)
            scaler.update()
        else:
            trained.step()


def _optimizer(setup: Setup, model: torch.nn.Module, here: torch.device) -> torch.optim.Optimizer:
    """The optimizer of the backend; names that only the Trainer knows are taken for an AdamW that is not fused."""
    train = setup.train
    if train.optim in optimizer.NAMES:
        return optimizer.build(model, train, here)
    rates = optimizer.groups(model.named_parameters(), weight_decay=train.weight_decay)
    return torch.optim.AdamW(rates, lr=train.learning_rate)


def _precision(setup: Setup, model: Any, here: torch.device) -> Any:
    """Autocast as the backend has it."""
    precision = setup.train.mixed_precision
    if setup.backend != "transformers" or precision == "no":
        return devices.autocast(here, precision)
    return wrapped_by_accelerate(model, lambda: devices.autocast(here, precision))


class _Count:
    """Peaks of the stretches between `begin` and `end`."""

    def __init__(self, tracker: Tracker, here: torch.device, allocations: Allocations | None) -> None:
        self.tracker = tracker
        self._here = here
        self._allocations = allocations
        self._tracked: list[Peak] = []
        self._totals: list[int] = []
        self._base = 0

    def begin(self) -> None:
        """A stretch begins."""
        if self._allocations is None:
            torch.cuda.reset_peak_memory_stats(self._here)
        else:
            if not self._tracked:
                self._base = self.tracker.bytes
            self._allocations.mark()
        self.tracker.start()

    def end(self) -> None:
        """It ends."""
        self._tracked.append(self.tracker.peak())
        if self._allocations is None:
            self._totals.append(torch.cuda.max_memory_allocated(self._here))
        else:
            self._allocations.mark()

    def peaks(self) -> list[Peak]:
        """One for each stretch; on the CPU only after the counting has ended."""
        if self._allocations is not None:
            before = self._base - self._allocations.at_marks()[0]  # states that an optimizer makes at once are in both
            self._totals = [before + peak for peak in self._allocations.between_marks()[::2]]
        return [_with_workspace(peak, total) for peak, total in zip(self._tracked, self._totals, strict=True)]


def _with_workspace(peak: Peak, total: int) -> Peak:
    """The allocator's total; what the tracker did not see is workspace."""
    unseen = total - peak.total
    at = "workspace" if unseen >= 0 else "activations"
    parts = {**peak.parts, at: peak.parts.get(at, 0) + unseen}
    return replace(peak, total=total, parts=parts)


@contextlib.contextmanager
def _counting(model: torch.nn.Module, here: torch.device) -> Iterator[_Count]:
    gc.collect()
    allocations = Allocations() if here.type == "cpu" else None
    tracker = Tracker(model, rounding=BLOCK if here.type == "cuda" else 1)
    count = _Count(tracker, here, allocations)
    with allocations or contextlib.nullcontext(), tracker:
        tracker.hold_model(model)
        tracker.hold(_scales_of(model), "weights")
        yield count


def _scales_of(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    """The tensors of bitsandbytes' layers that are neither parameters nor buffers."""
    for module in model.modules():
        weight: Any = getattr(module, "weight", None)
        places: list[Any] = [getattr(module, "state", None), weight]
        state = getattr(weight, "quant_state", None)
        places += [state, getattr(state, "state2", None)]
        for place in places:
            for name in ("CB", "SCB", "absmax", "code", "offset"):
                value = getattr(place, "__dict__", {}).get(name)
                if isinstance(value, torch.Tensor):
                    yield value


def _tensors_of(batch: Sequence[dict[str, Any]], here: torch.device) -> list[torch.Tensor]:
    """The tensors that lie in the device's memory before a step begins."""
    values = [value for tensors in batch for value in tensors.values() if isinstance(value, torch.Tensor)]
    return [value for value in values if value.device.type == here.type]


class Allocations:
    """Context: every allocation and release of torch's CPU allocator, also those made within operations.

    Bytes are relative to those at the start: what was alive before is not known to the profiler.
    """

    def __init__(self) -> None:
        self._profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
        self._events: list[tuple[int, int]] = []
        self._marks: list[int] = []

    def __enter__(self) -> Allocations:
        self._profile.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._profile.__exit__(kind, error, trace)
        profiler: Any = self._profile.profiler
        for event in profiler.kineto_results.events():
            if event.name() == "[memory]" and event.device_type() == torch.profiler.DeviceType.CPU:
                self._events.append((event.start_ns(), event.nbytes()))
            elif event.name() == _MARK:
                self._marks.append(event.start_ns())
        self._events.sort(key=lambda pair: pair[0])
        self._marks.sort()

    def mark(self) -> None:
        """Remember this place in the sequence."""
        with torch.profiler.record_function(_MARK):
            pass

    @property
    def curve(self) -> np.ndarray:
        """(n_events,), int64: bytes after each event."""
        return np.cumsum([n_bytes for _, n_bytes in self._events], dtype=np.int64)

    @property
    def peak(self) -> int:
        """The most bytes at one time, at least 0."""
        return int(max(self.curve.max(initial=0), 0))

    def at_marks(self) -> list[int]:
        """The bytes at each mark."""
        curve = np.concatenate([[0], self.curve])
        return [int(curve[at]) for at in np.searchsorted([when for when, _ in self._events], self._marks)]

    def between_marks(self) -> list[int]:
        """The most bytes from each mark to the next."""
        curve = np.concatenate([[0], self.curve])
        at = np.searchsorted([when for when, _ in self._events], self._marks)
        return [int(curve[begin : end + 1].max()) for begin, end in itertools.pairwise(at)]
