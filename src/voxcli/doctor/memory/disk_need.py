"""A recipe -> the bytes that its run writes: one checkpoint, all that are kept at one time, and the download before."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.train.prepare import RUNS
from voxcli.train.schedule import MOST_EVALUATIONS

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_STORED = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
BESIDE = 2  # checkpoints beside `save_total_limit`: the best, and the one that is being written


@dataclass(frozen=True)
class Need:
    """What the checkpoints of a run take, in bytes."""

    checkpoint: int
    kept: int
    """How many are there at one time."""
    folder: Path
    free: int
    """On the disk of `folder`, with what the run's older checkpoints take."""

    @property
    def total(self) -> int:
        """Of all that are there at one time."""
        return self.checkpoint * self.kept


def checkpoints(context: Context) -> Need:
    """What the run's checkpoints take where `vox train` writes them from here."""
    recipe = context.recipe
    folder = (RUNS / recipe.name).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    old = sum(path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.is_file())
    free = shutil.disk_usage(existing).free + old
    kept = recipe.train.save_total_limit + recipe.train.average_checkpoints + BESIDE
    return Need(_checkpoint(context), min(kept, _saves(context)), folder, free)


def _checkpoint(context: Context) -> int:
    """What is saved of the model, in float32, the optimizer's states and the raw weights (`train.checkpoint.size`)."""
    from voxcli.doctor.memory.prediction import prediction_where_it_matters

    prediction = prediction_where_it_matters(context)
    if prediction is None:  # too small to trace: all of it, and AdamW's two states
        return 12 * context.limits.n_parameters
    apart = context.recipe.adapter is not None and context.recipe.adapter.type == "lora"
    saved = prediction.trained_parameters if apart else prediction.parameters
    steady = next(one for one in prediction.phases if one.name == "later steps")
    return 4 * saved + steady.peak.parts.get("optimizer", 0) + steady.peak.parts.get("averages", 0)


def _saves(context: Context) -> int:
    """How many checkpoints the run writes at most."""
    train = context.recipe.train
    every = train.save_steps or train.eval_steps
    if every is None:
        return MOST_EVALUATIONS + 1
    steps = train.max_steps
    if steps is None:
        rows = len(context.data.splits.train)  # a step takes one clip at least
        steps = math.ceil((train.num_train_epochs or 1.0) * rows)
    return math.ceil(steps / max(every, 1)) + 1


@dataclass(frozen=True)
class Download:
    """The weights that the Hugging Face hub will be asked for."""

    checkpoint: str
    size: int
    """Bytes, by the number of parameters."""
    folder: Path
    free: int


def download(context: Context) -> Download | None:
    """None where the checkpoint is a folder or its weights are here."""
    checkpoint = getattr(context.recipe.model, "checkpoint", None)
    if not isinstance(checkpoint, str) or Path(checkpoint).expanduser().exists() or not context.limits.n_parameters:
        return None
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if any(isinstance(try_to_load_from_cache(checkpoint, name), str) for name in _WEIGHTS):
            return None
    except HFValidationError:  # a path that is gone
        return None
    config = context.config
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    folder = Path(constants.HF_HUB_CACHE)
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), None)
    if existing is None:
        return None
    size = context.limits.n_parameters * _STORED.get(stored, 4)
    return Download(checkpoint, size, folder, shutil.disk_usage(existing).free)
