"""A recipe -> its runs: trained in this process, or as a `Job` in processes that a backend starts, here or elsewhere.

A backend that starts processes of its own has `launch` (`voxcli.protocols.Backend`). The process that a person started
then builds no model: it shows what the others do. A process that was launched trains, whoever launched it: torchrun,
accelerate or such a backend. It is known by `RANK` in its environment.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.errors import TrainingError, VoxError
from voxcli.progress import NULL, Progress
from voxcli.recipe.where import Key, Place, shown

if TYPE_CHECKING:
    from voxcli.api import Split
    from voxcli.data.table import Table
    from voxcli.plugins.locking import Lock
    from voxcli.recipe.recipe import Recipe
    from voxcli.train.prepare import Ingredients
    from voxcli.train.run import Run

Places = Mapping[Key, Place]


@dataclass(frozen=True)
class Job:
    """What every launched process trains: plain values, so that they can be pickled and sent to another machine.

    A process either runs `command`, with `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR` and `MASTER_PORT` in its
    environment, or calls `run` with the same variables set.
    """

    name: str
    """The recipe's name."""
    tables: dict[str, Any]
    """The resolved recipe: every section with every key that has a value."""
    folder: Path
    """The run's folder, absolute. Every process has to see it under this name."""
    resume: bool
    """Whether `--resume` was given."""
    plugins: tuple[Path, ...] = ()
    """One-off plugin files (`--plugin`), absolute."""
    command: tuple[str, ...] = ()
    """What one process runs, in the folder where `vox train` was started. It prints as `vox train` does, process 0
    the results. A launcher that starts it anew after a failure adds `--resume`."""
    lock: Lock | None = None
    """The plugins that `--locked` allows; None: any. Commands inherit it through the environment."""
    places: tuple[Places, ...] = ()
    """Where the keys were set: those of the recipe, then those of each stage."""

    def run(
        self,
        *,
        resume: bool = False,
        begun: Callable[[Run], None] | None = None,
        progress: Progress = NULL,
    ) -> list[dict[str, Any]]:
        """Train in this process, which is one of several; what each run came to, as `launch` returns it.

        `resume`: go on from the newest checkpoint, for processes that are started anew after a failure. `begun` is
        called with each run before its first step; `run.interruption.requested = True` ends it after the next step,
        with a checkpoint and `KeyboardInterrupt`, in all processes. Raises what `vox train` would: a `VoxError` for
        what people can repair. Signals are looked at only where this is called in the main thread.
        """
        if not self.folder.is_dir():
            raise TrainingError(
                f"the run's folder {self.folder} does not exist on {socket.gethostname()}",
                help="the processes of a run share its folder: --run-dir on a disk that all machines have mounted, "
                "under the same name",
            )
        from voxcli.plugins import locking
        from voxcli.plugins.manager import files, use_files

        if self.lock is not None:
            locking.use(self.lock)
        known = {path.absolute() for path in files()}
        if unknown := [path for path in self.plugins if path not in known]:
            use_files(unknown)
        _, trained = here(
            self._recipe(), folder=self.folder, resume=self.resume or resume, begun=begun, progress=progress
        )
        return trained

    def _recipe(self) -> Recipe:
        from voxcli.recipe.resolve import resolve_tables

        made = resolve_tables(self.tables)
        if not self.places:
            return made
        stages = tuple(
            replace(stage, recipe=replace(stage.recipe, places=places))
            for stage, places in zip(made.stages, self.places[1:], strict=True)
        )
        return replace(made, places=self.places[0], stages=stages)


def launched() -> bool:
    """Whether this process is one of several that something has started."""
    return "RANK" in os.environ


def launches(recipe: Recipe) -> bool:
    """Whether the recipe's backend starts the processes that train, and this is not one of them."""
    return hasattr(recipe.backend, "launch") and not launched()


def folder_of(recipe: Recipe, given: Path | None) -> Path:
    """Where a run goes: the folder that was given, else one with the recipe's name where its backend keeps runs."""
    storage = getattr(recipe.backend, "storage", None)
    return given or Path(storage or "runs").expanduser() / recipe.name


def job(recipe: Recipe, folder: Path, *, asked: str, overrides: Sequence[str], resume: bool, json: bool) -> Job:
    """The job of a recipe. `asked` and `overrides` are what the command line names it by."""
    from voxcli.plugins import locking
    from voxcli.plugins.manager import files

    plugins = tuple(path.absolute() for path in files())
    place = folder.absolute()
    source = str(Path(asked).absolute()) if Path(asked).exists() else asked
    options = ["--run-dir", str(place), "--no-doctor", *(["--resume"] if resume else []), *(["--json"] if json else [])]
    loaded = [part for path in plugins for part in ("--plugin", str(path))]
    return Job(
        name=recipe.name,
        tables=recipe.tables,
        folder=place,
        resume=resume,
        plugins=plugins,
        command=(sys.executable, "-m", "voxcli", *loaded, "train", source, *overrides, *options),
        lock=locking.current(),
        places=(recipe.places, *(stage.recipe.places for stage in recipe.stages)),
    )


def elsewhere(recipe: Recipe, made: Job, *, progress: Progress = NULL) -> list[dict[str, Any]] | None:
    """Let the recipe's backend train a job; what each run came to, or None where the processes have said it themselves.

    Raises `UsageError` where the folder is taken, before anything is started, and what `launch` raises.
    """
    from voxcli.train.stages import check_folder

    check_folder(recipe, made.folder, resume=made.resume)
    if check := getattr(recipe.backend, "check", None):
        check(recipe.train)
    try:
        made.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"the run's folder {made.folder} cannot be written: {error.strerror or error}",
            help="give a --run-dir on a disk that can be written",
        ) from error
    try:
        trained: list[dict[str, Any]] | None = recipe.backend.launch(made, progress=progress)  # type: ignore[attr-defined]
    except VoxError:
        if not any(made.folder.iterdir()):
            made.folder.rmdir()  # nothing came of it
        raise
    return trained


def here(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    resume: bool = False,
    listed: Mapping[Split, Table] | None = None,
    begun: Callable[[Run], None] | None = None,
    progress: Progress = NULL,
) -> tuple[Path, list[dict[str, Any]]]:
    """Train a recipe's runs in this process, alone or as one of several; the folder, and what each run came to.

    `begun` is called with each run before its first step. Raises what `voxcli.train.stages.train` and
    `voxcli.train.prepare.fit` raise, `KeyboardInterrupt` after a checkpoint among it.
    """
    from voxcli.train import averaging
    from voxcli.train.prepare import fit
    from voxcli.train.stages import train

    trained: list[dict[str, Any]] = []

    def each(run: Run) -> None:
        if run.finished:
            progress.say(f"{shown(run.folder)} is complete: {run.state.step} steps")
        else:
            progress.say(_opening(run))
            if begun is not None:
                begun(run)
            fit(run)
        averaging.finish(run)
        trained.append(_result(run))

    root = train(recipe, each, folder=folder, resume=resume, listed=listed, progress=progress)
    return root, trained


def on_disk(root: Path) -> str | None:
    """What an interrupted run can go on from, in words; None where there is nothing yet."""
    from voxcli.train.folder import RunFolder, stage_folders

    newest = [RunFolder(folder).newest() for folder in stage_folders(root) or [root]]
    if newest[-1] is not None:
        return f"{newest[-1].name} is on disk"
    return "the stages before are on disk" if any(newest) else None


def counted(made: Ingredients, processes: int | None = None) -> Ingredients:
    """A plan's ingredients with as many processes as are asked for, or as the backend would start."""
    world: int = made.world if processes is None else processes
    if processes is None:
        world = getattr(made.recipe.backend, "world", made.world)
    if launched() or world == made.world:
        return made
    from voxcli.train.prepare import length_of

    return replace(made, world=world, length=length_of(made.recipe, made.batching, made.splits, world))


def _opening(run: Run) -> str:
    total = sum(parameter.numel() for parameter in run.bundle.model.parameters())
    trained = sum(parameter.numel() for parameter in run.parameters)
    utterances = f"{len(run.splits.train):,} utterances"
    return (
        f"training {trained:,} of {total:,} parameters on {run.device}: {utterances}, {run.total_steps:,} steps "
        f"-> {shown(run.folder)}"
    )


def _result(run: Run) -> dict[str, Any]:
    """What a finished run says of itself."""
    from voxcli.train.averaging import entry_of

    best = run.files.best if run.files.best.exists() else run.files.newest()
    state = run.state
    scores: dict[str, float] = next(
        (
            entry["validation"]
            for entry in run.files.log()
            if entry.get("step") == state.best_step and "validation" in entry
        ),
        {},
    )
    average = entry_of(run.files)
    if average is not None and average["best"]:
        scores = average["validation_of_average"]
    return {
        "averaged": average["averaged"] if average is not None and average["best"] else [],
        "run": str(run.folder),
        "task": run.recipe.task_name,
        "model": str(best),
        "steps": state.step,
        "best_step": state.best_step,
        "validation": scores,
        "seconds": round(state.seconds, 1),
        "audio_seconds": round(state.audio_seconds, 1),
        "stopped_early": state.stopped_early,
        "set_aside": sum(1 for _ in run.files.culprits()),
    }
