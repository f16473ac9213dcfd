"""An utterance whose loss or gradient is not finite -> why, in words with figures, and a code for it.

It is looked for in the clip itself: its samples as they were read and augmented, its label and frames as the loss got
them, its length beside the others'.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from voxcli.data.others import OthersOf
from voxcli.data.preparation import Preparation, Skip
from voxcli.errors import VoxError
from voxcli.train.replay import Outcome

if TYPE_CHECKING:
    from voxcli.data.table import Table
    from voxcli.train.run import Run

Cause = Literal[
    "ctc-infeasible",
    "audio-not-finite",
    "audio-amplitude",
    "silent",
    "fp16-overflow",
    "learning-rate",
    "memory",
    "unknown",
]
CERTAIN: tuple[Cause, ...] = ("ctc-infeasible", "audio-not-finite")
"""Causes that no sound model could make finite: nothing else has to be tried."""

LOUDEST = 16.0
"""Samples lie within -1 and 1; decoders and resampling pass it a little, never by 24 dB."""
SILENT = 2.0**-16
"""Below half a step of 16 bits there is nothing to hear."""
LONG = 3.0
"""Times the median duration from which a clip's length is worth a word."""


@dataclass(frozen=True)
class Reason:
    """Why an utterance cannot be learned from."""

    cause: Cause
    text: str


def reason(run: Run, row: int, epoch: int, tensors: Mapping[str, Any], outcome: Outcome) -> Reason:
    """Why the utterance of a row gave `outcome` in that epoch; `tensors` are its collated ones, alone."""
    utterance = run.table(epoch).utterance(row)
    bundle, recipe = run.bundle.replace(model=None), run.recipe
    rate = run.limits.sampling_rate
    others = OthersOf(run.table(epoch), rate)
    source = Preparation(run.task, bundle, recipe.augment, rate, recipe.seed, epoch, None, others)
    try:
        audio, utterance = source.heard(utterance)
    except (Skip, VoxError) as error:
        return Reason("unknown", str(error))
    found = of_samples(audio)
    if found is not None and found.cause == "audio-not-finite":
        return found
    if text := misfit(tensors):
        return Reason("ctc-infeasible", text)
    if found is not None and found.cause == "audio-amplitude":
        return found
    duration = len(audio) / run.limits.sampling_rate
    if text := run.task.problem(utterance.replace(duration=duration), run.limits, bundle):
        return Reason("unknown", text)
    if found is not None:
        return found
    lengths = tensors.get("label_lengths")
    if isinstance(lengths, torch.Tensor) and not int(lengths.sum()):
        return Reason("unknown", "its label is empty")
    if name := _not_finite(tensors):
        return Reason("unknown", f"its {name} hold values that are not numbers, though its samples do not")
    if text := against_median(duration, run.splits.train):
        return Reason("unknown", text)
    what = "its loss alone is" if outcome.loss != outcome.loss or abs(outcome.loss) == float("inf") else None
    return Reason("unknown", f"{what} {outcome.loss}" if what else f"its gradient alone is {outcome.norm}")


def of_samples(audio: np.ndarray) -> Reason | None:
    """What is wrong with samples (N,): not numbers, far too loud, or silence."""
    bad = int((~np.isfinite(audio)).sum())
    if bad:
        return Reason("audio-not-finite", f"{bad} of {len(audio)} samples are not numbers")
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > LOUDEST:
        return Reason("audio-amplitude", f"its samples reach {peak:.3g}, and audio lies within -1 and 1")
    if peak < SILENT:
        return Reason("silent", f"its audio is silent, the loudest of {len(audio)} samples is {peak:.3g}")
    return None


def misfit(tensors: Mapping[str, Any]) -> str | None:
    """Why the label of one utterance does not fit its frames, from what a CTC loss was given; else None."""
    frames, labels = tensors.get("frames"), tensors.get("labels")
    if not isinstance(frames, torch.Tensor) or not isinstance(labels, torch.Tensor) or labels.dim() != 1:
        return None
    repeats = sum(one == other for one, other in itertools.pairwise(labels.tolist()))
    needed, there = len(labels) + repeats, int(frames.max())
    if needed <= there:
        return None
    return f"its label of {len(labels)} tokens needs {needed} frames, its audio has {there}"


def against_median(duration: float, table: Table) -> str | None:
    """A clip's length beside the median of the data, where it is far above."""
    known = table.durations[np.isfinite(table.durations)]
    median = float(np.median(known)) if len(known) else 0.0
    if not median or duration < LONG * median:
        return None
    return f"{duration:.1f} s in a set whose median is {median:.1f} s"


def _not_finite(tensors: Mapping[str, Any]) -> str | None:
    for name, value in tensors.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
    return None
