"""The six hooks of voxcli. A plugin is any module that implements one of them and is named by an entry point.

    # pyproject.toml                       # vox_gain.py
    [project.entry-points.voxcli]          from voxcli.api import config, hookimpl
    gain = "vox_gain"
                                           @hookimpl
                                           def vox_register(registry):
                                               registry.add("augmentation", "gain", "vox_gain.gain:Gain")

Hooks are called by keyword: an implementation may leave out arguments it does not need (pluggy's rule).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import typer

    from voxcli.api import ComponentRegistry
    from voxcli.train.run import Run

PROJECT = "voxcli"
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def vox_register(registry: ComponentRegistry) -> None:
    """Offer components: `registry.add(kind, name, "module:Class", summary=...)`. Import nothing heavy here."""


@hookspec
def vox_commands(app: typer.Typer) -> None:
    """Add sub-commands to `vox`. Names of the built-in commands cannot be taken."""


@hookspec
def vox_run_start(run: Run) -> None:
    """A training run is about to take its first step (or its first after a resume)."""


@hookspec
def vox_run_log(run: Run, step: int, metrics: dict[str, Any]) -> None:
    """A line was added to `log.jsonl`."""


@hookspec
def vox_run_checkpoint(run: Run, step: int, path: Path) -> None:
    """A checkpoint is complete on disk."""


@hookspec
def vox_run_end(run: Run, error: BaseException | None) -> None:
    """The run ended: `error` is None, a `TrainingError`, a `KeyboardInterrupt` or a defect."""
