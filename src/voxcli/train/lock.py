"""What a run was made with: versions of the software and a fingerprint of the data, for `lock.json`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import voxcli

if TYPE_CHECKING:
    from voxcli.data.corpus import Splits
    from voxcli.recipe.resolve import Recipe

PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "bitsandbytes",
    "tokenizers",
    "safetensors",
    "datasets",
    "numpy",
    "soundfile",
    "soxr",
    "jiwer",
)


def lock(recipe: Recipe, splits: Splits) -> dict[str, Any]:
    """The content of lock.json."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "voxcli": voxcli.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "plugins": _plugins(recipe),
        "data": fingerprint(splits),
        "left_out": [str(drop) for drop in splits.drops],
    }


def fingerprint(splits: Splits) -> dict[str, Any]:
    """For each split: utterances, seconds, and a hash over ids, durations and normalised transcripts."""
    found: dict[str, Any] = {}
    for name in ("train", "validation"):
        table = getattr(splits, name)
        found[name] = {"utterances": len(table), "duration": round(table.duration, 2), "hash": table.fingerprint}
    return found


def _plugins(recipe: Recipe) -> dict[str, dict[str, str]]:
    """Name -> version and hash of every plugin that the run uses: of its components, and what listens to it."""
    from voxcli.plugins import locking
    from voxcli.plugins.manager import manager
    from voxcli.recipe.used import plugins

    used = plugins(recipe.tables, manager(), tasks=[recipe.task_name])
    return locking.entries(locking.lock_of(used, Path(locking.RUN_FILE)))
