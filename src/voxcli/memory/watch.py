"""A run's memory: predicted before its first step, measured at its end, both written to log.jsonl and kept for later.

A prediction never stops a run and takes a few seconds of it: two short traces for the largest of all batches that the
data can make. What cannot be predicted is left out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import torch

from voxcli.api import Utterance
from voxcli.data.batches import padding_of
from voxcli.data.loading import longest_label
from voxcli.memory import calibration, machine
from voxcli.memory.batch import label_length
from voxcli.memory.cards import Device, gib
from voxcli.memory.fixed import fixed
from voxcli.memory.frontier import Frontier
from voxcli.memory.setup import Setup, Shape, StepPeaks
from voxcli.memory.step import trace_step
from voxcli.memory.traces import versions
from voxcli.memory.worst import clips_of, worst
from voxcli.train.device import peak_bytes, reset_peak

if TYPE_CHECKING:
    from voxcli.data.loading import Batch
    from voxcli.train.run import Run

log = logging.getLogger(__name__)

SWITCH = "VOX_PREDICT_MEMORY"
"""Environment variable: 0 leaves the prediction out, for many short runs; what is measured is logged all the same."""
COUNTED = 24
"""Labels that are counted where the task cannot do so without computing features: those of the longest texts."""


@dataclass(frozen=True)
class Expectation:
    """What a batch should need of a device."""

    shape: Shape
    peaks: StepPeaks
    beside: dict[str, int]
    published: int
    """What would stand in `beside` without the measurements of earlier runs, bytes."""

    @property
    def needed(self) -> int:
        """Bytes: tensors and what stands beside them."""
        return self.peaks.worst.total + sum(self.beside.values())

    @property
    def table(self) -> dict[str, int]:
        """The parts, "tensors", "needed" and "published", bytes."""
        worst, more = self.peaks.worst, {"needed": self.needed, "published": self.published}
        return {**worst.parts, **self.beside, "tensors": worst.total, **more}


class Watch:
    """The memory of one run, in its first process."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._setup: Setup | None = None
        self._device: Device | None = None
        self._frontier: Frontier | None = None
        self._expected: Expectation | None = None
        self._largest: Shape | None = None
        self._training = 0  # the highest peak of steps, bytes
        self._highest = 0  # of anything

    # --------------------------------------------------------------------------------------------------- before it runs

    def expect(self) -> None:
        """Predict. To be called before random numbers count: models draw some while they are made."""
        reset_peak(self._run.device)  # loading is over
        if self._run.rank != 0 or os.environ.get(SWITCH) == "0" or self._run.sharding is not None:
            return  # what a process needs of a model in parts is not predicted
        try:
            self._expected = self._predicted(self._candidates())
        except Exception as error:  # a prediction is no reason for a run not to begin
            log.info("the memory of this run was not predicted: %s: %s", type(error).__name__, error)

    def tell(self) -> None:
        """Log what was predicted, and say once that the device is too small for it."""
        expected, device = self._expected, self._device
        if expected is None or device is None:
            return
        run = self._run
        entry = {
            "device": device.name,
            "usable": device.usable,
            "shape": _shape_table(expected.shape),
            "predicted": expected.table,
        }
        run.log({"step": run.state.step, "memory": entry})
        if expected.needed > device.usable:
            recipe = run.recipe.path.name if run.recipe.path is not None else run.folder
            run.progress.say(
                f"predicted {gib(expected.needed)} for the largest batch, and {device.name} has {gib(device.usable)}: "
                f"`vox plan {recipe}` says what fits"
            )

    # ---------------------------------------------------------------------------------------------------- while it runs

    def step(self, batches: Iterable[Batch]) -> int:
        """After a step, its batches: the highest peak of the run so far, bytes."""
        now = peak_bytes(self._run.device)
        self._training, self._highest = max(self._training, now), max(self._highest, now)
        for batch in batches:
            if batch.ids:
                self._largest = max(_shape_of(batch), self._largest or _shape_of(batch), key=self._weight)
        return self._highest

    def evaluated(self) -> None:
        """After an evaluation: its peak is not the training's."""
        self._highest = max(self._highest, peak_bytes(self._run.device))
        reset_peak(self._run.device)

    # ------------------------------------------------------------------------------------------------------- at its end

    def end(self, error: BaseException | None) -> None:
        """Log predicted and measured, of the largest batch that there was; keep both for the next prediction."""
        if self._run.rank != 0 or self._largest is None:
            return
        try:
            self._tell_end(self._largest, error)
        except Exception as problem:  # how the run ended is what counts
            log.info("the memory of this run was not logged: %s: %s", type(problem).__name__, problem)

    def _tell_end(self, largest: Shape, error: BaseException | None) -> None:
        run, expected = self._run, self._expected
        measured = self._measured()
        if expected is not None and expected.shape != largest:
            expected = self._expectation(largest) if error is None else None
        entry: dict[str, Any] = {"shape": _shape_table(largest), "measured": measured}
        if expected is not None:
            entry["predicted"] = expected.table
        run.log({"step": run.state.step, "memory": entry})
        cut = bool(run.state.ceiling or run.state.too_large)  # what was measured is not of whole batches
        if expected and self._setup and self._device and error is None and not cut:
            calibration.append(
                calibration.Row(
                    time=datetime.now().isoformat(timespec="seconds"),
                    device=self._device.name,
                    kind=self._device.kind,
                    model=str(run.recipe.tables["model"].get("checkpoint", run.recipe.model_type)),
                    options=options_of(self._setup),
                    shape=largest,
                    predicted=expected.table,
                    measured=measured,
                    steps=run.state.step,
                    versions=versions(),
                )
            )

    # ----------------------------------------------------------------------------------------------------------- inside

    def _candidates(self) -> list[Shape]:
        """The batches that may be the worst, the most seconds first."""
        run = self._run
        train = run.recipe.train
        clips = clips_of(
            run.splits.train,
            _counter(run),
            augment=run.recipe.augment,
            padded=padding_of(run.recipe.model, run.limits),
            limits=run.limits,
            grouped=run.batching.grouped,
        )
        shapes = clips.shapes(batch_duration=train.batch_duration, batch_size=train.per_device_train_batch_size)
        return sorted(shapes, key=_size, reverse=True)

    def _predicted(self, shapes: Sequence[Shape]) -> Expectation | None:
        """Of the worst of the shapes."""
        if not shapes:
            return None
        run = self._run
        device = machine.ram() if run.device.type == "cpu" else machine.device()
        setup = Setup.of(run.recipe, run.splits.corpus, device=device.setup, capability=device.capability)
        self._device, self._setup = device, setup
        try:
            self._frontier = Frontier.fit(setup)
        except Exception as error:  # it is the quicker way, not the only one
            log.info("one batch is traced, not all: %s: %s", type(error).__name__, error)
            return self._expectation(shapes[0])
        return self._expectation(worst(shapes, self._frontier.total))

    def _weight(self, shape: Shape) -> tuple[Any, ...]:
        """The more, the more memory: predicted where it is known."""
        return (self._frontier.total(shape),) if self._frontier else _size(shape)

    def _expectation(self, shape: Shape) -> Expectation:
        assert self._setup is not None
        assert self._device is not None
        peaks = self._frontier.peak(shape) if self._frontier else trace_step(self._setup, shape).peaks
        total, known = peaks.worst.total, calibration.constants(self._device)
        beside = fixed(self._device, self._setup, total, constants=known)
        published = sum(fixed(self._device, self._setup, total).values())
        return Expectation(shape, peaks, beside, published)

    def _measured(self) -> dict[str, int]:
        device = self._run.device
        if device.type != "cuda":
            return {"process" if device.type == "cpu" else "reserved": self._training}
        free, total = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.memory_reserved(device)
        return {
            "tensors": self._training,
            "reserved": torch.cuda.max_memory_reserved(device),
            "beside": max(0, total - free - reserved),
        }


def options_of(setup: Setup) -> str:
    """What decides a setup's memory beside the batch, in words: "LoRA, int8, checkpointing, bf16"."""
    train, quantization = setup.train, setup.quantization
    adapter = setup.adapter
    words = ["full" if adapter is None else f"LoRA {adapter.r}" if adapter.type == "lora" else "attention adapters"]
    if quantization is not None and quantization.load_in_8bit:
        words.append("int8")
    elif quantization is not None and quantization.load_in_4bit:
        words.append(quantization.bnb_4bit_quant_type)
    words += ["checkpointing"] if train.gradient_checkpointing else []
    words += [train.mixed_precision] if train.mixed_precision != "no" else []
    words += [f"frozen {train.frozen_dtype}"] if train.frozen_dtype != "float32" else []
    words += [train.attn_implementation] if train.attn_implementation else []
    words += [train.optim] if train.optim != "adamw_torch" else []
    words += ["accumulation"] if train.gradient_accumulation_steps > 1 else []
    return ", ".join(words)


def _counter(run: Run) -> Callable[[Utterance], int]:
    """Tokens of an utterance's label; where counting is slow, 0 for all but the longest texts."""
    bundle = run.bundle.replace(model=None)
    if callable(getattr(run.task, "label_length", None)):
        return lambda utterance: label_length(run.task, bundle, utterance)
    texts = run.splits.train.texts
    lengths = sorted((len(text or "") for text in texts), reverse=True)
    least = lengths[min(COUNTED, len(lengths)) - 1] if lengths else 0

    def count(utterance: Utterance) -> int:
        return label_length(run.task, bundle, utterance) if len(utterance.text or "") >= least else 0

    return count


def _shape_of(batch: Batch) -> Shape:
    return Shape(len(batch.ids), round(batch.padded_duration / len(batch.ids), 4), longest_label(batch.tensors))


def _size(shape: Shape) -> tuple[float, int, Shape]:
    return round(shape.n_utterances * shape.duration, 1), shape.n_utterances * shape.n_labels, shape


def _shape_table(shape: Shape) -> dict[str, float]:
    return {"utterances": shape.n_utterances, "duration": round(shape.duration, 3), "labels": shape.n_labels}
