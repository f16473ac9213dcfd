"""TensorBoard: event files in the run's folder. `tensorboard --logdir runs` shows all runs.

https://github.com/tensorflow/tensorboard, through torch.utils.tensorboard.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vox_trackers.tracker import About, End

FOLDER = "tensorboard"
FLUSH = 10  # s: what a killed process loses at most


class TensorBoard:
    """Writes RUN/tensorboard."""

    def __init__(self) -> None:
        self._writer: Any = None
        self._folder = Path()
        self._step = 0
        self._good: Any = None
        """What the table of hyper-parameters gets of a run that came to its end."""

    def start(self, about: About) -> dict[str, str]:
        """A run that begins has no figures; one that goes on takes back those after its checkpoint."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self._folder, self._step = about.folder / FOLDER, about.step
        if not about.kept:
            shutil.rmtree(self._folder, ignore_errors=True)
        purge = about.step + 1 if about.kept else None
        self._writer = SummaryWriter(str(self._folder), purge_step=purge, flush_secs=FLUSH)
        named = dict.fromkeys(f"validation/{name}" for name in about.metrics)
        experiment, begin, self._good = hparams(dict(about.recipe), named)
        self._add(experiment)
        self._add(begin)
        rows = "\n".join(f"| `{key}` | {value} |" for key, value in about.recipe.items())
        self._writer.add_text("recipe", f"| key | value |\n|---|---|\n{rows}", about.step)
        return {"folder": FOLDER}

    def where(self) -> str:
        """The command that shows it."""
        return f"tensorboard --logdir {self._folder}"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """One scalar each."""
        self._step = step
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def checkpoint(self, path: Path, step: int, *, best: bool) -> None:
        """Its path as text."""
        self._writer.add_text("checkpoint", f"{path}{' (best so far)' if best else ''}", step)

    def end(self, how: End, error: str | None) -> None:
        """How it ended, as text and in the table of hyper-parameters."""
        self._writer.add_text("end", how if error is None else f"{how}: {error}", self._step)
        if how in ("finished", "stopped early"):
            self._add(self._good)
        self._writer.close()

    def _add(self, summary: Any) -> None:
        self._writer.file_writer.add_summary(summary)
