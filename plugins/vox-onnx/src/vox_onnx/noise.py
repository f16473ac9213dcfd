"""An opened model -> batches of noise as its task makes them: one to trace, others to compare the graph with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Utterance

if TYPE_CHECKING:
    import torch

    from voxcli.checkpoints import OpenModel

SHORT, MIDDLE, LONG = 0.7, 1.9, 7.3  # s; three lengths, so that nothing of the traced one can stay in the graph
LEVEL = 0.1  # standard deviation of the samples


@dataclass(frozen=True)
class Batch:
    """The input of the network, and how many frames each clip has."""

    inputs: dict[str, torch.Tensor]
    frames: tuple[int, ...] | None
    """Frames of the logits (B,); None where a clip has one row of logits."""


def batch(opened: OpenModel, durations: Sequence[float]) -> Batch:
    """Noise of the given lengths, s, padded to the longest as in decoding. The same clip for the same length."""
    import numpy as np

    bundle, task = opened.bundle, opened.task
    limits = bundle.family.limits()
    rate = limits.sampling_rate
    items = []
    for duration in durations:
        n_samples = round(max(duration, 1.2 * limits.min_duration) * rate)
        rng = np.random.default_rng(n_samples)
        audio = (LEVEL * rng.standard_normal(n_samples)).astype(np.float32)
        items.append(task.features(Utterance(id="noise", audio=Path("noise")), audio, bundle))
    made = task.collate(items, bundle)
    frames = made.get("frames")
    prepared: Any = task
    return Batch(
        dict(prepared.prepared(bundle, made)), None if frames is None else tuple(int(frame) for frame in frames)
    )
