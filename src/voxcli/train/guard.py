"""What stops a step: a loss or gradient that is not finite, or no memory left. Names the utterances and the next try.

Nothing is hidden or skipped here: weights are never updated from such a step, so that the state on disk and in memory
is that of the last good step. `Incident` holds what a deeper diagnosis starts from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from voxcli.errors import TrainingError
from voxcli.recipe.schema import Adapter, Quantization, Train

MOST_OVERFLOWS = 20  # float16 steps in a row that may overflow while the scale of the loss finds its size
NAMED = 12  # utterance ids in a message; all of them are in log.jsonl


@dataclass(frozen=True)
class Incident:
    """One step that could not be taken."""

    kind: str
    """"loss" or "gradient" (not finite), or "memory"."""
    step: int
    """The step that would have been the next one, counted from 1."""
    epoch: int
    position: int
    """First batch of the step in its epoch: with seed and epoch it repeats the step exactly."""
    utterances: tuple[str, ...]
    loss: float = math.nan
    grad_norm: float = math.nan


def not_finite(incident: Incident) -> TrainingError:
    """The error for a loss or a gradient that is not a number."""
    what = f"the loss is {incident.loss}" if incident.kind == "loss" else f"the gradient's norm is {incident.grad_norm}"
    return TrainingError(
        f"step {incident.step}: {what}; the batch: {named(incident.utterances)}",
        help="the weights were not changed by this step. Usual causes: a transcript too long for its audio, silent or "
        "broken audio, fp16, or too high a learning_rate",
        utterances=incident.utterances,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def out_of_memory(
    incident: Incident,
    *,
    device: torch.device,
    padded_duration: float,
    longest: float,
    ladder: str,
) -> TrainingError:
    """The error for a step that does not fit; durations in s."""
    count = len(incident.utterances)
    return TrainingError(
        f"step {incident.step}: out of memory on {device} with a batch of {count} "
        f"{'utterance' if count == 1 else 'utterances'}, {padded_duration:.0f} s of padded audio, the longest "
        f"{longest:.1f} s: {named(incident.utterances)}",
        help=f"{ladder}. A changed recipe is another run: give it another `name`",
        utterances=incident.utterances,
    )


def next_try(
    train: Train, adapter: Adapter | None, quantization: Quantization | None, *, count: int, longest: float
) -> str:
    """The cheapest change that was not made yet, from "same result, less memory" to "another method"."""
    twice = train.gradient_accumulation_steps * 2
    if count > 1 and train.batch_duration is not None:
        half = max(longest, train.batch_duration / 2)
        return (
            f"train.batch_duration={half:.0f} train.gradient_accumulation_steps={twice}: "
            "the same mean gradient in less memory"
        )
    if count > 1 and train.per_device_train_batch_size is not None:
        half_size = max(1, train.per_device_train_batch_size // 2)
        return (
            f"train.per_device_train_batch_size={half_size} train.gradient_accumulation_steps={twice}: "
            "the same mean gradient in less memory"
        )
    if not train.gradient_checkpointing:
        return "train.gradient_checkpointing=true: activations are recomputed; about a third more time"
    if train.mixed_precision == "no":
        return 'train.mixed_precision="bf16" (or "fp16" on older GPUs): activations take half'
    if adapter is None:
        return "train a LoRA adapter instead of all weights: [adapter], usual with train.learning_rate=1e-3"
    if quantization is None:
        return "load the frozen base in 8 bits: [quantization] load_in_8bit = true"
    return f"leave out the longest clips: filter.max_duration={longest / 2:.0f}, or use a smaller checkpoint"


def named(utterances: Sequence[str]) -> str:
    """Utterance ids for a message, the first few of them."""
    shown = ", ".join(utterances[:NAMED])
    rest = len(utterances) - NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
