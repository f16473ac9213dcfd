"""A voxcli plugin: what a training run logs goes to TensorBoard, MLflow, Weights & Biases or Trackio.

Reading order: choice (which ones), session (the hooks of one run, and what becomes of a tracker that fails), figures
(what is logged, under which names), tracker (what an adapter does), then one file for each library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import hookimpl

if TYPE_CHECKING:
    from voxcli.train.run import Run

_sessions: dict[Path, Any] = {}
"""Of the runs that are being trained: one, or the stages that a process trains one after the other."""


@hookimpl
def vox_run_start(run: Run) -> None:
    """Open the trackers. Only the first process of a run has any."""
    if run.rank == 0:
        from vox_trackers.session import opened

        _sessions[run.folder] = opened(run)


@hookimpl
def vox_run_log(run: Run, step: int, metrics: dict[str, Any]) -> None:
    """Hand the figures of a log entry on."""
    if session := _sessions.get(run.folder):
        session.log(metrics, step)


@hookimpl
def vox_run_checkpoint(run: Run, step: int, path: Path) -> None:
    """Tell where a checkpoint lies."""
    if session := _sessions.get(run.folder):
        session.checkpoint(path, step, best=run.state.best_step == step)


@hookimpl
def vox_run_end(run: Run, error: BaseException | None) -> None:
    """Close the trackers."""
    if session := _sessions.pop(run.folder, None):
        session.end(error, stopped_early=run.state.stopped_early)
