"""Trackio: a run in the project's database (TRACKIO_DIR, else the cache of Hugging Face), shown by `trackio show`.

https://github.com/gradio-app/trackio. It stays on this machine unless TRACKIO_SPACE_ID or TRACKIO_SERVER_URL is set.
"""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vox_trackers.tracker import About, End


class Trackio:
    """Writes one Trackio run. What the library prints goes to stderr: stdout is for results."""

    def __init__(self) -> None:
        self._run: Any = None
        self._project = ""
        self._step = 0

    def start(self, about: About) -> dict[str, str]:
        """A new run, or the one that was begun. Trackio knows runs by their names, so that each has its own."""
        self._project, self._step = about.project, about.step
        name = about.kept.get("run") or f"{about.name}-{uuid.uuid4().hex[:6]}"
        with contextlib.redirect_stdout(sys.stderr):
            import trackio

            self._run = trackio.init(
                project=about.project,
                name=name,
                group=about.group,
                config=dict(about.recipe),
                resume="allow" if about.kept else "never",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        return {"run": name}

    def where(self) -> str:
        """The command that shows it."""
        return f"trackio show --project {self._project}"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """All figures of a step at once."""
        self._step = step
        self._say(dict(figures))

    def checkpoint(self, path: Path, step: int, *, best: bool) -> None:
        """Its path as text."""
        self._step = step
        self._say({"checkpoint": str(path)} | ({"best": str(path)} if best else {}))

    def end(self, how: End, error: str | None) -> None:
        """How it ended, as text."""
        self._say({"end": how} | ({"error": error} if error else {}))
        with contextlib.redirect_stdout(sys.stderr):
            import trackio

            trackio.finish()  # the run's own would be called again, on stdout, when the process ends

    def _say(self, values: dict[str, Any]) -> None:
        with contextlib.redirect_stdout(sys.stderr):
            self._run.log(values, step=self._step)
