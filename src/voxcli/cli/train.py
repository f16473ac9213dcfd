"""`vox train`: a recipe in, a folder with a trained model out."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console, imports
from voxcli.errors import EXIT_INTERRUPTED, UsageError
from voxcli.progress import NULL, Progress

if TYPE_CHECKING:
    from voxcli.api import Split, Task
    from voxcli.data.table import Table
    from voxcli.recipe.resolve import Recipe
    from voxcli.train.torchrun import Processes

_NEXT = ("vox evaluate {run} --data {data} --split test", "vox transcribe FILE --model {run}")
"""What is said after a run of a task that does not say it itself (`Task.next_commands`)."""


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, the name of a shipped recipe, or a run's folder.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE | ~KEY]...", help="Changes: train.max_steps=100, augment.0.p=0.2, ~adapter."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the newest checkpoint, exactly.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and check everything, train nothing.")] = False,
    no_doctor: Annotated[
        bool, typer.Option("--no-doctor", help="Train without the checks that come first, or in spite of them.")
    ] = False,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="FOLDER", help="The run's folder instead of runs/NAME.")
    ] = None,
    nproc: Annotated[
        int | None, typer.Option("--nproc", min=1, help="Processes on this machine, one for each GPU.")
    ] = None,
    nnodes: Annotated[int, typer.Option("--nnodes", min=1, help="Machines, each with the same command.")] = 1,
    rdzv_endpoint: Annotated[
        str | None, typer.Option("--rdzv-endpoint", metavar="HOST:PORT", help="Where several machines meet.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Train a model as a recipe says.

    The quick checks of `vox doctor` come first; an error ends the command. Ctrl-C writes a checkpoint and ends;
    --resume continues from it.
    """
    from voxcli.recipe.resolve import resolve

    processes = _processes(nproc, nnodes, rdzv_endpoint)

    source = Path(recipe)
    if source.is_dir() and (source / "recipe.toml").is_file():  # a run's folder: its own recipe, its own place
        run_dir = run_dir or source
        source = source / "recipe.toml"
    resolved = resolve(recipe if source == Path(recipe) else source, overrides or ())
    if resolved.warnings:
        from voxcli.recipe import render

        console.say(render.findings(resolved.warnings, resolved.places))
    first = int(os.environ.get("RANK", "0")) == 0  # of the processes that torchrun launched
    progress = console.progress() if first else NULL
    progress.say("importing torch and transformers")
    imports.libraries()
    # peft imports bitsandbytes, which warns of kernels for CPUs that nobody has asked for
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    listed: Mapping[Split, Table] = {}
    if first and not no_doctor:
        from voxcli.cli.train_checks import check

        listed = check(resolved, resume=resume, progress=progress)
    if dry_run:
        world = None if processes is None else processes.nproc * processes.nnodes
        return _dry_run(resolved, progress, listed, world=world, json=json)
    return _train(
        resolved,
        progress,
        folder=run_dir,
        resume=resume,
        listed=listed,
        asked=recipe,
        overrides=overrides or [],
        no_doctor=no_doctor,
        json=json,
        processes=processes,
    )


def _processes(nproc: int | None, nnodes: int, endpoint: str | None) -> Processes | None:
    """What the command line asks for; None: this process alone."""
    if nproc is None and nnodes == 1 and endpoint is None:
        return None
    from voxcli.train.launching import launched
    from voxcli.train.torchrun import Processes

    if launched():
        raise UsageError("this is one of several processes already", help="leave --nproc and --nnodes to torchrun")
    return Processes(nproc or 1, nnodes, endpoint)


def _dry_run(
    recipe: Recipe, progress: Progress, listed: Mapping[Split, Table], *, world: int | None, json: bool
) -> int:
    from voxcli.train.launching import counted as processes_counted
    from voxcli.train.plan import lines, plan
    from voxcli.train.stages import ingredients

    found = ingredients(recipe, listed=listed, progress=progress)
    counted = [(name, plan(processes_counted(made, world))) for name, made in found]
    if json:
        stages = [{"stage": name, **one} for name, one in counted]
        console.write_json({"name": recipe.name, "stages": stages} if recipe.stages else counted[0][1])
        return 0
    for number, (name, one) in enumerate(counted, 1):
        if recipe.stages:
            gap = "\n" if number > 1 else ""
            console.write(f"{gap}stage {number} of {len(counted)}: {name}")
        console.write("\n".join(lines(one)))
    return 0


def _train(
    recipe: Recipe,
    progress: Progress,
    *,
    folder: Path | None,
    resume: bool,
    listed: Mapping[Split, Table],
    asked: str,
    overrides: list[str],
    no_doctor: bool,
    json: bool,
    processes: Processes | None = None,
) -> int:
    from voxcli.train import launching, torchrun
    from voxcli.train.processes import rank
    from voxcli.train.stages import check_folder

    root = launching.folder_of(recipe, folder)
    trained: list[dict[str, Any]] | None
    try:
        if processes is not None:
            if launching.launches(recipe):
                name = recipe.tables["backend"]["type"]
                raise UsageError(f"the backend {name} starts its processes itself", help="leave --nproc out")
            job = launching.job(recipe, root, asked=asked, overrides=overrides, resume=resume, json=json)
            check_folder(recipe, job.folder, resume=resume)
            torchrun.launch(job, processes)
            trained = None
        elif launching.launches(recipe):
            job = launching.job(recipe, root, asked=asked, overrides=overrides, resume=resume, json=json)
            trained = launching.elsewhere(recipe, job, progress=progress)
            trained = trained if trained is None else [_nearer(one, job.folder, root) for one in trained]
        else:
            root, trained = launching.here(recipe, folder=root, resume=resume, listed=listed, progress=progress)
    except KeyboardInterrupt:
        if torchrun.MARK in os.environ and launching.launched():
            return EXIT_INTERRUPTED
        on_disk = launching.on_disk(root)
        if on_disk is None:
            console.say("interrupted before the first checkpoint: nothing to continue from")
        else:
            command = _continuing(asked, overrides, folder, processes, no_doctor=no_doctor, json=json)
            console.say(f"interrupted; {on_disk}. Continue with:\n  {command}")
        return EXIT_INTERRUPTED
    if trained is not None and rank() == 0:
        _report(root, trained, asked, task=recipe.task, stages=bool(recipe.stages), json=json)
    return 0


def _continuing(
    asked: str,
    overrides: list[str],
    folder: Path | None,
    processes: Processes | None,
    *,
    no_doctor: bool,
    json: bool,
) -> str:
    """The command that goes on with an interrupted run, as it can be pasted into a shell."""
    from voxcli.plugins import locking
    from voxcli.plugins.manager import files
    from voxcli.recipe.where import shown

    words = ["vox", "train", asked, *overrides]
    if folder is not None and str(folder) != asked:
        words += ["--run-dir", str(folder)]
    if processes is not None:
        words += ["--nproc", str(processes.nproc)]
        words += ["--nnodes", str(processes.nnodes)] if processes.nnodes > 1 else []
        words += ["--rdzv-endpoint", processes.endpoint] if processes.endpoint else []
    words += [word for path in files() for word in ("--plugin", str(path))]
    if (lock := locking.current()) is not None:
        words.append(f"--locked={shown(lock.source)}")
    words += [flag for flag, given in (("--no-doctor", no_doctor), ("--json", json)) if given]
    return shlex.join([*words, "--resume"])


def _nearer(one: dict[str, Any], job: Path, root: Path) -> dict[str, Any]:
    """What a run came to, with its paths as the command line has them: other processes know them by absolute names."""
    return one | {key: str(root / Path(one[key]).relative_to(job)) for key in ("run", "model")}


def _report(root: Path, trained: list[dict[str, Any]], asked: str, *, task: Task, stages: bool, json: bool) -> None:
    if not trained:  # every stage had passed before
        console.say(f"{root} is complete")
        if json:
            console.write_json({"run": str(root), "model": str(root / "best"), "stages": []})
        return
    result = trained[-1]
    if json:
        whole = {**result, "run": str(root), "model": str(root / "best"), "stages": trained}
        console.write_json(whole if stages else result)
        return
    from voxcli.train.plan import clock

    for number, one in enumerate(trained, 1):
        if stages:
            console.write(("\n" if number > 1 else "") + f"stage       {Path(one['run']).name}")
        speed = f" ({one['audio_seconds'] / one['seconds']:.0f} s/s)" if one["seconds"] else ""
        steps = ", ".join(map(str, one["averaged"] or ([one["best_step"]] if one["best_step"] else [])))
        what = f" ({'mean of steps' if one['averaged'] else 'step'} {steps})" if steps else ""
        console.write(f"model       {one['model']}{what}")
        if one["validation"]:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in one["validation"].items())
            console.write(f"validation  {shown}")
        console.write(
            f"trained     {one['steps']:,} steps, {clock(one['audio_seconds'])} of audio in {clock(one['seconds'])}"
            f"{speed}" + (", stopped early" if one["stopped_early"] else "")
        )
        if one["set_aside"]:
            console.write(f"set aside   {one['set_aside']} utterances: {Path(one['run']) / 'culprits.jsonl'}")
    for number, line in enumerate(getattr(task, "next_commands", _NEXT)):
        console.write(f"{'' if number else 'next':<12}{line.format(run=root, data=asked)}")
