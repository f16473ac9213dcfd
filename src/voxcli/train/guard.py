"""What a step that went wrong says: a loss or gradient that is not finite, or no memory left; and the next try.

Weights are never updated from such a step, so that the state on disk and in memory is that of the last good one. What
becomes of it is decided in `voxcli.train.culprits` and `voxcli.train.shortage`; here are the words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from voxcli.engines.ceiling import Size
from voxcli.errors import TrainingError
from voxcli.recipe.schema import Adapter, Quantization, Train

MOST_OVERFLOWS = 20  # float16 steps in a row that may overflow while the scale of the loss finds its size
ANOTHER_RUN = "A changed recipe is another run: give it another `name`"
NAMED = 12  # utterance ids in a message; all of them are in log.jsonl


@dataclass(frozen=True)
class Incident:
    """One step that could not be taken."""

    kind: str
    """"memory"."""
    step: int
    """The step that would have been the next one, counted from 1."""
    epoch: int
    position: int
    """First batch of the step in its epoch: with seed and epoch it repeats the step exactly."""
    utterances: tuple[str, ...]


def what(kind: str, value: object) -> str:
    """The figure that is not finite, in words."""
    return f"the loss is {value}" if kind == "loss" else f"the gradient's norm is {value}"


def not_finite(
    step: int, figure: str, *, why: str, cause: str, utterances: Sequence[str], train: Train
) -> TrainingError:
    """The error for a loss or a gradient that is no utterance's fault."""
    return TrainingError(
        f"step {step}: {figure}; {why}; the batch: {named(utterances)}",
        help=f"the weights were not changed by this step. {_remedy(cause, train)}",
        utterances=tuple(utterances),
    )


def too_many(step: int, figure: str, name: str, reason: str, causes: Mapping[str, str], most: int) -> TrainingError:
    """The error where more utterances are at fault than `[train] max_culprits` allows."""
    counts = Counter(causes.values()).most_common()
    found = ", ".join(f"{count} {cause}" for cause, count in counts)
    worst = counts[0][0] if counts else ""
    return TrainingError(
        f"step {step}: {figure} because of {name} ({reason}), and train.max_culprits = {most} "
        f"{'is' if most == 1 else 'are'} set aside already. By cause: {found}",
        help=f"{_REPAIRS.get(worst, 'listen to them')}. culprits.jsonl names all of them; [filter] exclude leaves them "
        "out, train.max_culprits allows more with --resume",
        utterances=tuple(causes),
    )


def not_repeated(step: int, figure: str, name: str, reason: str) -> TrainingError:
    """The error where one utterance is at fault and this process has nothing without it, while others wait for it."""
    return TrainingError(
        f"step {step}: {figure} because of {name} ({reason}), and one of the processes has nothing else in this step",
        help="leave it out with [filter] exclude, or take the backend accelerate",
        utterances=(name,),
    )


def nothing_left(step: int, count: int, utterances: Sequence[str]) -> TrainingError:
    """The error where step after step has no utterance that is not set aside."""
    return TrainingError(
        f"step {step}: {count} steps in a row had no utterance left, all of them are set aside: {named(utterances)}",
        help="culprits.jsonl says why: repair the data",
        utterances=tuple(utterances),
    )


_REPAIRS = {
    "ctc-infeasible": "their transcripts are too long for their audio: wrong rows, or an augmentation that shortens",
    "audio-not-finite": "export their audio again",
    "audio-amplitude": "export their audio again, scaled to -1 … 1",
    "silent": "their audio is silent while their transcripts are not",
    "fp16-overflow": 'train.mixed_precision = "bf16" or "no"',
}


def _remedy(cause: str, train: Train) -> str:
    """What to change where a model is at fault."""
    if cause == "learning-rate":
        return (
            f"The steps before have broken the model: lower train.learning_rate ({train.learning_rate:g} now) to a "
            f"tenth, or warm up longer (train.warmup_steps = {train.warmup_steps:g} now)"
        )
    if cause == "fp16-overflow":
        return 'float16 overflows where float32 does not: train.mixed_precision = "bf16" or "no"'
    if cause in _REPAIRS:
        return f"All of the data have it: {_REPAIRS[cause]}"
    return "Usual causes: too high a train.learning_rate, fp16, or a checkpoint that is broken itself"


def out_of_memory(
    incident: Incident,
    *,
    device: torch.device,
    padded_duration: float,
    longest: float,
    ladder: str,
) -> TrainingError:
    """The error for a step that does not fit and may not be taken again; durations in s."""
    count = len(incident.utterances)
    return TrainingError(
        f"step {incident.step}: out of memory on {device} with a batch of {count} "
        f"{'utterance' if count == 1 else 'utterances'}, {padded_duration:.0f} s of padded audio, the longest "
        f"{longest:.1f} s: {named(incident.utterances)}",
        help=ladder,
        utterances=incident.utterances,
    )


def batch_of(size: Size) -> str:
    """The size of a batch in words."""
    if size.n_utterances == 1:
        return f"one utterance of {size.duration:.1f} s"
    return f"{size.n_utterances} utterances, {size.padded:.0f} s of padded audio, the longest {size.duration:.1f} s"


def next_try(
    train: Train,
    adapter: Adapter | None,
    quantization: Quantization | None,
    *,
    count: int,
    longest: float,
    times: int = 2,
) -> str:
    """The cheapest change that was not made yet, from "same result, less memory" to "another method".

    `count` utterances of at most `longest` s did not fit; a batch cut into `times` parts did.
    """
    more = train.gradient_accumulation_steps * times
    if count > 1 and train.batch_duration is not None:
        less = max(longest, train.batch_duration / times)
        return (
            f"train.batch_duration={math.ceil(less)} train.gradient_accumulation_steps={more}: "
            "the same mean gradient in less memory"
        )
    if count > 1 and train.per_device_train_batch_size is not None:
        fewer = max(1, train.per_device_train_batch_size // times)
        return (
            f"train.per_device_train_batch_size={fewer} train.gradient_accumulation_steps={more}: "
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


def next_optimizer(train: Train, adapter: Adapter | None) -> str:
    """The cheapest change that leaves the optimizer less to keep."""
    if "8bit" not in train.optim and train.optim not in ("sgd", "adafactor"):
        return 'train.optim="adamw_bnb_8bit": its states take a quarter'
    if "paged" not in train.optim and "8bit" in train.optim:
        return 'train.optim="paged_adamw_8bit": its states leave the GPU where they have to'
    if adapter is None:
        return "train a LoRA adapter instead of all weights: [adapter], usual with train.learning_rate=1e-3"
    return f"adapter.r={max(1, adapter.r // 2)}, or a smaller checkpoint"


def named(utterances: Sequence[str]) -> str:
    """Utterance ids for a message, the first few of them."""
    shown = ", ".join(utterances[:NAMED])
    rest = len(utterances) - NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
