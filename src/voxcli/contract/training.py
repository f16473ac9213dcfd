"""A backend's table -> a recipe of the small data and the tiny CTC model, trained for a few steps; the run's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.contract import material
from voxcli.recipe.render import toml

if TYPE_CHECKING:
    from voxcli.plugins.registry import Registry

STEPS = 2
PREDICTION = "VOX_PREDICT_MEMORY"
WISHED: dict[str, Any] = {
    "max_steps": STEPS,
    "per_device_train_batch_size": 3,
    "eval_steps": STEPS,
    "save_steps": STEPS,
    "use_cpu": True,
    "dataloader_num_workers": 0,
}
"""Keys of `[train]`; those that a backend does not honour are left out."""


def recipe(path: Path, *, backend: Mapping[str, Any] | None = None, supports: frozenset[str] | None = None) -> Path:
    """Write the recipe into a file and return it."""
    train = {name: value for name, value in WISHED.items() if supports is None or name in supports}
    tables: dict[str, Any] = {
        "name": "contract",
        "data": [{"type": "manifest", "path": str(material.data() / "manifest.csv")}],
        "model": {"type": "ctc", "checkpoint": str(material.model("ctc"))},
        "train": train,
        "evaluate": {"batch_duration": 20.0},
    }
    if backend is not None:
        tables["backend"] = dict(backend)
    path.write_text(toml(tables), encoding="utf-8")
    return path


def trained(source: Path, folder: Path, registry: Registry) -> Path:
    """Train a recipe into a folder, in this process or in those that its backend starts. Raises as `vox train` does."""
    from voxcli.recipe.resolve import resolve
    from voxcli.train import launching

    resolved = resolve(source, registry=registry)
    before = os.environ.get(PREDICTION)
    os.environ[PREDICTION] = "0"  # of two steps there is nothing to predict
    try:
        if launching.launches(resolved):
            job = launching.job(resolved, folder, asked=str(source), overrides=(), resume=False, json=True)
            launching.elsewhere(resolved, job)
            return folder
        return launching.here(resolved, folder=folder)[0]
    finally:
        if before is None:
            os.environ.pop(PREDICTION)
        else:
            os.environ[PREDICTION] = before
