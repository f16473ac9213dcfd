"""A model and the graph that was made of it -> how far their logits are apart, on noise of several lengths and padded.

Clips alone and together, none as long as what was traced: a size that was written into the graph, a branch that was
taken for one length, a mask that was lost, all show as differences of the size of the logits themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vox_onnx.noise import LONG, MIDDLE, SHORT, Batch
from voxcli.errors import ModelError

EXACT = 1e-4
"""Share of the largest logit that float32 may differ by. Sums in another order made at most 1.4e-5 in 18 architectures
with random weights, 1e-6 in trained ones; a mask that is left out makes 1e-1."""
QUANTIZED = 0.25
"""The same of int8: trained models differed by 1 to 5 %, one of 569 million parameters by 7 %. Whether the text is
the same is measured on speech."""
TOGETHER = (0.8 * MIDDLE, SHORT, 1.3 * MIDDLE)  # s, of clips that share a batch
CASES: tuple[tuple[float, ...], ...] = ((SHORT,), (LONG,), TOGETHER)

Run = Callable[[Batch], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """What came of the comparison."""

    share: float
    """Largest difference of two logits as a share of the largest logit; infinite where one is not finite."""
    tolerance: float

    def require(self, what: str, repair: str) -> Difference:
        """Itself. Raises `ModelError` where it is more than the tolerance."""
        if not self.share <= self.tolerance:
            raise ModelError(
                f"{what} is another model: its logits differ by {self.share:.2g} of the largest, where "
                f"{self.tolerance:g} is allowed",
                help=repair,
            )
        return self


def difference(one: Run, other: Run, batches: list[Batch], *, tolerance: float) -> Difference:
    """Two ways of computing logits, on the same batches; frames of padding are left out."""
    apart, largest = 0.0, 0.0
    for batch in batches:
        before, after = one(batch), other(batch)
        if before.shape != after.shape:
            return Difference(float("inf"), tolerance)
        for wanted, found in zip(_clips(before, batch), _clips(after, batch), strict=True):
            apart = max(apart, float(np.abs(wanted - found).max())) if np.isfinite(found).all() else float("inf")
            largest = max(largest, float(np.abs(wanted).max()))
    return Difference(apart / largest if largest else float("inf"), tolerance)


def hears_padding(run: Run, alone: Batch, together: Batch, row: int) -> bool:
    """Whether a clip has other logits in row `row` of a batch of longer ones than alone."""
    (wanted,), found = _clips(run(alone), alone), _clips(run(together), together)[row]
    return bool(np.abs(wanted - found).max() > EXACT * np.abs(wanted).max())


def by(model: Any) -> Run:
    """A model of torch as a function from batches to logits, float32."""

    def run(batch: Batch) -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = model(**batch.inputs).logits.float().cpu().numpy()
        return logits

    return run


def _clips(logits: np.ndarray, batch: Batch) -> list[np.ndarray]:
    if batch.frames is None:
        return list(logits)
    return [row[:frames] for row, frames in zip(logits, batch.frames, strict=True)]
