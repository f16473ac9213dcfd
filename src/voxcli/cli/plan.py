"""`vox plan`: a recipe and a device in; whether it fits, and what would make it fit, out, before anything is spent."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli import console, imports
from voxcli.errors import EXIT_FAILED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from voxcli.memory.measurement import Measurement
    from voxcli.memory.predict import Prediction
    from voxcli.progress import Progress
    from voxcli.recipe.edit import Edit
    from voxcli.recipe.resolve import Recipe


def plan(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE", help="A TOML file, the name of a shipped recipe, or a run's folder.", show_default=False
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE | ~KEY]...", help="Changes: train.batch_duration=60, adapter.r=8, ~quantization."
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="NAME|SIZE", help="A card: rtx-3060, T4, 8GiB; by default this machine's."),
    ] = None,
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help="A processor with this much memory: 16GiB.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the marked row into the recipe; the difference is shown first.")
    ] = False,
    choice: Annotated[
        int | None, typer.Option("--choice", metavar="N", min=1, help="With --apply: row N instead.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --apply: do not ask.")] = False,
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="S", min=0.01, help="Read no data: the longest clip has S seconds."),
    ] = None,
    labels: Annotated[
        int | None, typer.Option("--labels", metavar="N", min=1, help="With --duration: the longest label, in tokens.")
    ] = None,
    no_search: Annotated[bool, typer.Option("--no-search", help="The recipe as it is; look for nothing else.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run the worst batch on this machine, and compare.")
    ] = False,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="List how far off the predictions of past runs were.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say whether a recipe fits a device's memory, and what would.

    Nothing is spent: the training step is followed without weights; of the model only config.json is needed, of the
    audio only its length. Exit code 0 where the recipe fits, or what --apply has written; 1 where it does not.

    \b
    vox plan recipe.toml --gpu 8GiB
    vox plan recipe.toml train.batch_duration=120 --gpu T4 --apply
    vox plan recipe.toml --duration 15 --labels 80
    """
    if calibration:
        return _calibration(json=json)
    if recipe is None:
        raise UsageError("name a recipe", help="vox plan recipe.toml --gpu 8GiB; `vox recipe list` shows shipped ones")
    _check_options(
        recipe, gpu, ram, apply=apply, choice=choice, yes=yes, search=not no_search, measure=measure, json=json
    )
    if labels is not None and duration is None:
        raise UsageError("--labels says how long the labels are of clips of --duration", help="--duration 15 (s)")
    from voxcli.memory import machine  # light: a wrong name is told before torch is imported
    from voxcli.recipe.resolve import resolve

    named = machine.named(gpu, ram)
    source = Path(recipe)
    if source.is_dir() and (source / "recipe.toml").is_file():
        source = source / "recipe.toml"
    resolved = resolve(recipe if source == Path(recipe) else source, overrides or (), missing="warning")
    if resolved.warnings and duration is None:
        from voxcli.recipe import render

        console.say(render.findings(resolved.warnings, resolved.places))
    if apply and resolved.stages:
        raise UsageError(
            "--apply writes one row, and this recipe has stages",
            help="plan without --apply, and write the row into the [[stage]] that is named",
        )
    if apply and resolved.path is not None:
        from voxcli.recipe.edit import edit

        edit(resolved.path, {}, overrides or ())  # a file that is nobody's to change is told before the search
    progress = console.progress()
    progress.say("importing torch and transformers")
    imports.libraries()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, which --measure uses, writes to stderr
    from voxcli.memory.stages import predict

    device = named or machine.device()
    part, totals, prediction = predict(
        resolved, device, duration=duration, labels=labels, search=not no_search, progress=progress
    )
    from voxcli.memory import report

    made = _edit(prediction, resolved, overrides or [], choice) if apply else None
    if json:
        _show_json(prediction, made, _measured(prediction, part, progress) if measure else None, totals)
    else:
        if totals:
            console.write("\n".join([*report.stage_lines(totals), ""]))
        _show(prediction)
        if measure:
            _show_measured(_measured(prediction, part, progress))
    if apply:
        return _write(made, prediction, yes=yes)
    if not json:
        _next(prediction, [recipe, *(overrides or []), *_given(gpu, ram, duration, labels)])
    return EXIT_OK if prediction.fits else EXIT_FAILED


def _check_options(
    recipe: str,
    gpu: str | None,
    ram: str | None,
    *,
    apply: bool,
    choice: int | None,
    yes: bool,
    search: bool,
    measure: bool,
    json: bool,
) -> None:
    """Raise `UsageError` for options that do not go together."""
    if measure and (gpu is not None or ram is not None):
        raise UsageError("--measure runs on the device of this machine", help="leave --gpu and --ram out")
    if choice is not None and not apply:
        raise UsageError("--choice says what --apply writes", help=f"vox plan {recipe} --apply --choice {choice}")
    if apply and not search:
        raise UsageError("--apply writes what the search finds", help="leave --no-search out")
    if apply and not yes and (json or not _answers()):
        raise UsageError("--apply asks before it writes, and nobody is there to answer", help="add --yes")


def _answers() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty()


def _edit(prediction: Prediction, recipe: Recipe, overrides: list[str], choice: int | None) -> Edit | None:
    """The edit that `--apply` makes; None where the recipe fits as it is and no other row was asked for."""
    from voxcli.recipe.edit import edit
    from voxcli.recipe.resolve import resolve

    found = prediction.candidates or []
    if choice is not None and choice > len(found):
        raise UsageError(f"--choice {choice}: {len(found)} rows fit", help="`vox plan` without --apply shows them")
    chosen = found[choice - 1] if choice is not None else prediction.recommended
    if chosen is None or recipe.path is None:
        return None
    made = edit(recipe.path, chosen.changes, overrides)
    resolve(recipe.path, missing="warning", content=made.after)  # what is written has to be a recipe
    return made if made.difference() else None


def _measured(prediction: Prediction, recipe: Recipe, progress: Progress) -> list[Measurement]:
    from voxcli.memory.measurement import measure

    return measure(prediction, recipe.decoding(), progress=progress)


def _show_json(
    prediction: Prediction, made: Edit | None, measured: list[Measurement] | None, totals: Mapping[str, int]
) -> None:
    from voxcli.memory import report

    result = report.table(prediction)
    if totals:
        result["stages"] = dict(totals)
    if measured is not None:
        result["measured"] = report.measured_table(measured)
    if made is not None:
        result |= {"file": str(made.path), "difference": made.difference()}
    console.write_json(result)


def _show(prediction: Prediction) -> None:
    from voxcli.memory import report

    console.write("\n".join(report.lines(prediction)))


def _show_measured(measured: list[Measurement]) -> None:
    from voxcli.memory import report

    console.write("\n" + "\n".join(report.measured_lines(measured)))


def _next(prediction: Prediction, arguments: list[str]) -> None:
    """How to go on where something can be done."""
    found, chosen = prediction.candidates or [], prediction.recommended
    if chosen is not None and chosen.changes:
        import shlex

        row = next(number for number, one in enumerate(found, start=1) if one is chosen)
        other = "; --choice N another one" if len(found) > 1 else ""
        console.write(f"\nnext: {shlex.join(['vox', 'plan', *arguments])} --apply\n      writes row {row}{other}")


def _given(gpu: str | None, ram: str | None, duration: float | None, labels: int | None) -> list[str]:
    """The options that decide what is planned, as they were given."""
    options = {"--gpu": gpu, "--ram": ram, "--duration": duration, "--labels": labels}
    given = {
        option: f"{value:g}" if isinstance(value, float) else str(value) for option, value in options.items() if value
    }
    return [part for pair in given.items() for part in pair]


def _write(made: Edit | None, prediction: Prediction, *, yes: bool) -> int:
    """Show the difference, ask, write. Exit code 0 where the recipe then fits."""
    if made is None:
        if prediction.fits:
            console.say("the recipe fits as it is: nothing to write")
            return EXIT_OK
        console.say("nothing that was tried fits: nothing is written")
        return EXIT_FAILED
    console.say("\n" + made.difference())
    if not yes and not typer.confirm(f"write this into {made.path}?", err=True):
        console.say("nothing is written")
        return EXIT_FAILED
    made.write()
    console.say(f"wrote {made.path}\nnext: vox train {made.path}")
    return EXIT_OK


def _calibration(*, json: bool) -> int:
    """Past runs, newest last."""
    from voxcli.memory import report
    from voxcli.memory.calibration import errors

    found = errors()
    if json:
        console.write_json(report.calibration_table(found))
    elif not found:
        console.write("no run has been measured on this machine yet: every `vox train` adds one")
    else:
        console.write("\n".join(report.calibration_lines(found)))
    return EXIT_OK
