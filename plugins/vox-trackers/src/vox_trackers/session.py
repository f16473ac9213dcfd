"""The trackers of one run: each is called alone, and one that fails is said once and left out.

What a tracker needs to go on with the same run later stands in the run's folder, in trackers.json.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vox_trackers import choice
from vox_trackers.figures import figures, flat
from vox_trackers.masks import masked
from vox_trackers.tracker import About, End, Tracker

if TYPE_CHECKING:
    from voxcli.train.run import Run

KEPT = "trackers.json"
PROJECT = "VOX_TRACKERS_PROJECT"


class Session:
    """The trackers of a run that is being trained."""

    def __init__(self, trackers: dict[str, Tracker], say: Callable[[str], None]) -> None:
        self._trackers, self._say = trackers, say

    def log(self, entry: dict[str, Any], step: int) -> None:
        """An entry of log.jsonl."""
        if found := figures(entry):
            self._each(lambda tracker: tracker.log(found, step))

    def checkpoint(self, path: Path, step: int, *, best: bool) -> None:
        """A checkpoint is complete."""
        self._each(lambda tracker: tracker.checkpoint(path.absolute(), step, best=best))

    def end(self, error: BaseException | None, *, stopped_early: bool) -> None:
        """The run ended."""
        how: End = "stopped early" if stopped_early else "finished"
        why: str | None = None
        if isinstance(error, KeyboardInterrupt):
            how = "interrupted"
        elif error is not None:
            how, why = "failed", masked(f"{type(error).__name__}: {error}")
        self._each(lambda tracker: tracker.end(how, why))
        self._trackers.clear()

    def start(self, about: About, kept: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        """Open the trackers; what each wants to be kept."""
        found = {}
        for name, tracker in list(self._trackers.items()):
            mine = About(**{**vars(about), "kept": kept.get(name, {})})
            with self._guarded(name):
                found[name] = tracker.start(mine)
                self._say(masked(f"{name}: {tracker.where()}"))
        return found

    def _each(self, work: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            with self._guarded(name):
                work(tracker)

    @contextlib.contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a library's: no network, a full disk, a wrong key. None of it is worth the run
            self._trackers.pop(name, None)
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
            self._say(masked(f"{name} gets nothing more, the run goes on: {what}"))


def opened(run: Run) -> Session:
    """The trackers of a run that begins or goes on, opened."""
    names = choice.asked()
    for name in names:
        if why := choice.problem(name):
            run.progress.say(f"{why}; the run goes on without")
    usable = [name for name in names if choice.problem(name) is None]
    session = Session(dict(choice.made(usable)), run.progress.say)
    kept = _kept(run.folder) if run.resumed_from is not None else {}
    fresh = session.start(_about(run), kept)
    if fresh:
        _keep(run.folder, kept | fresh)
    return session


def _about(run: Run) -> About:
    staged = run.folder.parent.name == "stages"
    name = run.recipe.name
    return About(
        name=f"{name}/{run.folder.name}" if staged else name,
        project=os.environ.get(PROJECT, "voxcli"),
        group=name if staged else None,
        folder=run.folder,
        recipe=flat(run.recipe.tables),
        metrics=run.metrics,
        step=run.state.step,
    )


def _kept(folder: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads((folder / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _keep(folder: Path, kept: dict[str, dict[str, str]]) -> None:
    beside = folder / f".{KEPT}.partial"
    with contextlib.suppress(OSError):  # a full disk: the run says so itself
        beside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        beside.replace(folder / KEPT)
