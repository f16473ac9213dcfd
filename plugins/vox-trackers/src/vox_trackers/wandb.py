"""Weights & Biases: a run in the project, in the mode that WANDB_MODE says (offline: files in RUN/wandb, to be synced).

https://docs.wandb.ai. The step is a figure of its own and the axis of all others: the library's own counter goes
forward only, and a run that is resumed goes back to its checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vox_trackers.tracker import About, End

AXIS = "step"
CODES: dict[End, int] = {"finished": 0, "stopped early": 0, "interrupted": 130, "failed": 1}


class WandB:
    """Writes one W&B run."""

    def __init__(self) -> None:
        self._run: Any = None

    def start(self, about: About) -> dict[str, str]:
        """A new run, or the one that was begun. Nothing that is printed and no code is recorded."""
        import wandb

        self._run = wandb.init(
            project=about.project,
            name=about.name,
            group=about.group,
            dir=str(about.folder),
            config=dict(about.recipe),
            id=about.kept.get("run"),
            resume="allow" if about.kept else None,
            allow_val_change=True,
            save_code=False,
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, disable_code=True, disable_git=True),
        )
        self._run.define_metric(AXIS, hidden=True)
        self._run.define_metric("*", step_metric=AXIS)
        return {"run": self._run.id}

    def where(self) -> str:
        """Its page, or the folder of an offline run."""
        return f"wandb sync {Path(self._run.dir).parent}" if self._run.offline else str(self._run.url)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """All figures of a step at once."""
        self._run.log({**figures, AXIS: step})

    def checkpoint(self, path: Path, step: int, *, best: bool) -> None:
        """Its path in the summary."""
        self._run.summary["checkpoint"] = str(path)
        if best:
            self._run.summary["best"] = str(path)

    def end(self, how: End, error: str | None) -> None:
        """How it ended, in the summary and as the exit code that W&B shows."""
        self._run.summary["end"] = how
        if error:
            self._run.summary["error"] = error
        self._run.finish(exit_code=CODES[how])
