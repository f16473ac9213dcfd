"""A checkpoint and what was exported of it -> how far their logits and their transcripts differ on a probe.

Three models at most, one after the other in memory: the checkpoint with its adapter beside the full-precision base
(the logits), the same over the base as it was kept in training where that was rounded (what the run itself decodes),
and the exported folder read back from the disk.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxcli.api import Decoding, Utterance
from voxcli.errors import ModelError
from voxcli.evaluate.class_run import evaluate as classify
from voxcli.evaluate.compare import Comparison, compare
from voxcli.evaluate.run import evaluate
from voxcli.evaluate.scores import Scores
from voxcli.export import probe as probes
from voxcli.export.original import Rounding, unmerged
from voxcli.export.probe import Probe
from voxcli.models.open import OpenModel, open_model
from voxcli.progress import NULL, Progress
from voxcli.train.device import move
from voxcli.train.measured import predicts

TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference of two logits, as a share of the largest logit: rounding alone stays well below."""
RATE = 0.005
"""How much the word error rate may change where nothing but rounding of float32 may: half a point, or one word."""


@dataclass(frozen=True)
class Logits:
    """How far two models are apart on the same audio and labels."""

    difference: float
    """Largest absolute difference."""
    largest: float
    """Largest absolute logit of the original."""
    effect: float | None
    """How far the adapter moves them; None without an adapter."""
    tolerance: float
    """What `difference` may be."""
    audio: str
    """What they were computed on."""

    @property
    def within(self) -> bool:
        """Whether the difference is no more than rounding."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Check:
    """What came of the comparison."""

    logits: Logits
    rounding: Rounding
    """What the base was kept in while the adapter was trained."""
    probe: Probe
    comparison: Comparison | None = None
    """Error rates of the run itself and of what was exported; None without a probe."""
    changed: int = 0
    """How many transcripts, or classifications, differ."""
    classified: int | None = None
    """How many utterances both have classified; None where they write text, or without a probe."""

    def require(self, name: str) -> None:
        """Raise `ModelError` where the exported model is another one than `name`."""
        if not self.logits.within:
            raise ModelError(
                f"what was exported is not the model {name}: its logits differ by up to {self.logits.difference:.3g}, "
                f"where {self.logits.tolerance:.3g} is what rounding explains",
                help="nothing was kept of it; please report this with the recipe. --no-check writes it all the same",
            )
        if self.comparison is None or self.rounding:
            return
        before, after = (scores.rates["raw", "wer"] for scores in (self.comparison.before, self.comparison.after))
        errors = abs(after.counts.errors - before.counts.errors)
        if errors > max(1.0, RATE * before.counts.length):
            raise ModelError(
                f"what was exported transcribes otherwise than {name}: {before.counts.errors} and "
                f"{after.counts.errors} wrong words of {before.counts.length}, though its logits are the same",
                help="nothing was kept of it; please report this with the recipe. --no-check writes it all the same",
            )


def check(
    checkpoint: Path,
    exported: Path,
    *,
    adapter: bool,
    probe: Probe,
    rounding: Rounding,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    decoding: Decoding | None = None,
    batch_duration: float = 120.0,
    progress: Progress = NULL,
) -> Check:
    """Compare `exported` with `checkpoint`. `dtype` is that of the exported weights; all is computed in float32."""
    rounding = rounding if adapter else Rounding()

    def scores(opened: OpenModel) -> Scores | dict[str, tuple[str, ...]] | None:
        if probe.table is None or not predicts(opened.task):
            return None
        if getattr(opened.task, "learns", "text") == "label":
            found = classify(opened, probe.table, batch_duration=batch_duration, num_workers=0, progress=progress)
            return {clip.utterance.id: clip.prediction.chosen for clip in found.clips}
        return evaluate(
            opened,
            probe.table,
            decoding=decoding,
            batch_duration=batch_duration,
            num_workers=0,
            examples=len(probe.table),
            progress=progress,
        )

    progress.say("comparing: the checkpoint" + (" with its adapter unmerged" if adapter else ""))
    opened: Any = unmerged(checkpoint, device=device)
    language = opened.decoding.language
    clips = probes.clips(probe, opened.bundle, opened.task, language=language)
    wanted = _logits(opened, clips)
    effect = None
    if adapter:
        with opened.bundle.model.disable_adapter():
            effect = _distance(wanted, _logits(opened, clips))
    before = None if rounding else scores(opened)
    if rounding:
        del opened
        _free()
        progress.say(f"comparing: the adapter over its {rounding} base, as it was trained")
        opened = unmerged(checkpoint, device=device, rounding=rounding)
        before = scores(opened)
    del opened
    _free()
    progress.say("comparing: what was exported")
    opened = open_model(exported, device=device, dtype=torch.float32)
    found = _logits(opened, clips)
    after = scores(opened)
    largest = float(wanted.abs().max())
    logits = Logits(
        difference=_distance(wanted, found),
        largest=largest,
        effect=effect,
        tolerance=TOLERANCES[dtype] * largest,
        audio="noise" if clips[0][0].id == "noise" else f"{len(clips)} utterances of {probe.name}",
    )
    if isinstance(before, dict) and isinstance(after, dict):
        changed = sum(before.get(name) != chosen for name, chosen in after.items())
        return Check(logits, rounding, probe, changed=changed, classified=len(after))
    if not isinstance(before, Scores) or not isinstance(after, Scores):
        return Check(logits, rounding, probe)
    texts = {one.utterance.id: one.hypothesis for one in before.examples}
    changed = sum(texts.get(one.utterance.id) != one.hypothesis for one in after.examples)
    return Check(logits, rounding, probe, compare(before, after), changed)


def _logits(opened: OpenModel, clips: Sequence[tuple[Utterance, np.ndarray]]) -> torch.Tensor:
    """What the model gives to its task's loss, float32 on the CPU, of clips as one batch."""
    bundle, task = opened.bundle, opened.task
    kept: list[torch.Tensor] = []

    def keep(module: Any, inputs: Any, output: Any) -> None:
        # not every model has logits: of a pre-trained encoder it is what it predicts hidden frames with, of a speaking
        # model its frames; in transformers' outputs what was computed stands first where there is no loss
        made = output.logits if "logits" in output else output[0]
        kept.append(made.float().cpu())

    items = [task.features(utterance, audio, bundle) for utterance, audio in clips]
    batch = move(task.collate(items, bundle), next(bundle.model.parameters()).device)
    handle = bundle.model.register_forward_hook(keep)
    try:
        with torch.no_grad():
            task.loss(bundle, batch)
    finally:
        handle.remove()
    return kept[-1]


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest absolute difference; infinite where the shapes differ or one is not finite."""
    if one.shape != other.shape:
        return float("inf")
    largest = float((one - other).abs().max())
    return largest if np.isfinite(largest) else float("inf")


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
