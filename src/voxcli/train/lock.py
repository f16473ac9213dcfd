"""What a run was made with: versions of the software and a fingerprint of the data, for `lock.json`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
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


def _plugins(recipe: Recipe) -> dict[str, str]:
    """Distribution -> version of every plugin whose components the recipe names."""
    from voxcli.plugins.manager import manager

    registry = manager().registry
    asked = [("model", recipe.model_type), ("task", recipe.task_name)]
    asked += [("backend", recipe.tables.get("backend", {}).get("type", "accelerate"))]
    asked += [("dataset", table["type"]) for table in recipe.tables.get("data", [])]
    asked += [("augmentation", table["type"]) for table in recipe.tables.get("augment", [])]
    registrations = [registry.find(kind, name) for kind, name in asked]
    return {one.distribution: one.version for one in registrations}
