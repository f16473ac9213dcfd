"""`vox train`: a recipe in, a folder with a trained model out."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console
from voxcli.errors import EXIT_INTERRUPTED
from voxcli.progress import NULL, Progress

if TYPE_CHECKING:
    from voxcli.api import Split
    from voxcli.data.table import Table
    from voxcli.recipe.resolve import Recipe
    from voxcli.train.run import Run


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
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Train a model as a recipe says.

    The quick checks of `vox doctor` come first; an error ends the command. Ctrl-C writes a checkpoint and ends;
    --resume continues from it.
    """
    from voxcli.recipe.resolve import resolve

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
    # peft imports bitsandbytes, which warns of kernels for CPUs that nobody has asked for
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    listed: Mapping[Split, Table] = {}
    if first and not no_doctor:
        from voxcli.cli.train_checks import check

        listed = check(resolved, resume=resume, progress=progress)
    if dry_run:
        return _dry_run(resolved, progress, listed, json=json)
    return _train(
        resolved,
        progress,
        folder=run_dir,
        resume=resume,
        listed=listed,
        asked=recipe,
        overrides=overrides or [],
        json=json,
    )


def _dry_run(recipe: Recipe, progress: Progress, listed: Mapping[Split, Table], *, json: bool) -> int:
    from voxcli.train.plan import lines, plan
    from voxcli.train.stages import ingredients

    counted = [(name, plan(made)) for name, made in ingredients(recipe, listed=listed, progress=progress)]
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
    json: bool,
) -> int:
    from voxcli.train import averaging, processes
    from voxcli.train.prepare import fit
    from voxcli.train.stages import train as train_all

    trained: list[dict[str, Any]] = []
    newest: list[Path | None] = []

    def each(run: Run) -> None:
        if run.finished:
            progress.say(f"{run.folder} is complete: {run.state.step} steps")
        else:
            progress.say(_opening(run))
            try:
                fit(run)
            except KeyboardInterrupt:
                newest.append(run.files.newest())
                raise
        newest.append(run.files.newest())
        averaging.finish(run)
        trained.append(_result(run))

    try:
        root = train_all(recipe, each, folder=folder, resume=resume, listed=listed, progress=progress)
    except KeyboardInterrupt:
        on_disk = newest[-1] if newest else None
        if on_disk is None and not trained:
            console.say("interrupted before the first checkpoint: nothing to continue from")
        else:
            place = ["--run-dir", str(folder)] if folder is not None and str(folder) != asked else []
            command = " ".join(["vox train", asked, *overrides, *place, "--resume"])
            what = f"{on_disk.name} is on disk" if on_disk is not None else "the stages before are on disk"
            console.say(f"interrupted; {what}. Continue with:\n  {command}")
        return EXIT_INTERRUPTED
    if processes.rank() == 0:
        _report(root, trained, asked, stages=bool(recipe.stages), json=json)
    return 0


def _opening(run: Run) -> str:
    total = sum(parameter.numel() for parameter in run.bundle.model.parameters())
    trained = sum(parameter.numel() for parameter in run.parameters)
    utterances = f"{len(run.splits.train):,} utterances"
    return (
        f"training {trained:,} of {total:,} parameters on {run.device}: {utterances}, {run.total_steps:,} steps "
        f"-> {run.folder}"
    )


def _result(run: Run) -> dict[str, Any]:
    """What a finished run says of itself."""
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
    from voxcli.train.averaging import entry_of

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


def _report(root: Path, trained: list[dict[str, Any]], asked: str, *, stages: bool, json: bool) -> None:
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
        speed = one["audio_seconds"] / max(one["seconds"], 1e-9)
        steps = ", ".join(map(str, one["averaged"] or ([one["best_step"]] if one["best_step"] else [])))
        what = f" ({'mean of steps' if one['averaged'] else 'step'} {steps})" if steps else ""
        console.write(f"model       {one['model']}{what}")
        if one["validation"]:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in one["validation"].items())
            console.write(f"validation  {shown}")
        console.write(
            f"trained     {one['steps']:,} steps, {clock(one['audio_seconds'])} of audio in {clock(one['seconds'])} "
            f"({speed:.0f} s/s)" + (", stopped early" if one["stopped_early"] else "")
        )
        if one["set_aside"]:
            console.write(f"set aside   {one['set_aside']} utterances: {Path(one['run']) / 'culprits.jsonl'}")
    if result["task"] == "pretraining":
        console.write(
            f'next        fine-tune it: [model] type = "ctc", checkpoint = "{root}/best", vocabulary = "data"'
        )
        return
    console.write(f"next        vox evaluate {root} --data {asked} --split test")
    command = "classify" if result["task"] == "classification" else "transcribe"
    console.write(f"            vox {command} FILE --model {root}")
