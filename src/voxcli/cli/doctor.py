"""`vox doctor`: a machine, a recipe, data, a run or a checkpoint in; what is wrong, and what to change, out."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from voxcli.cli import console
from voxcli.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE


def doctor(
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE | RUN | MODEL | DATA]",
            help="A recipe, a run's folder, a model's folder, a manifest or a folder of recordings; "
            "nothing: this machine.",
            show_default=False,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE | ~KEY]...", help="Changes of the recipe.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="CODE", help="These checks alone.")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="CODE", help="All but these.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read all audio, and weights where that says more.")] = False,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="NAME|SIZE", help="A card to ask for: rtx-3060, 8GiB; default: this machine's."),
    ] = None,
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help="A processor with this much memory: 16GiB.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say what is wrong, where, and what to change."""
    from voxcli.doctor.context import Context
    from voxcli.doctor.examine import examine
    from voxcli.doctor.report import lines, table
    from voxcli.doctor.subject import subject
    from voxcli.memory.machine import named

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    context = Context(
        subject(given), tuple(overrides or ()), full=full, device=named(gpu, ram), progress=console.progress()
    )
    report = examine(context, only=only or (), skip=skip or ())
    if json:
        console.write_json(table(report))
    else:
        console.write("\n".join(lines(report)))
    if report.count("error"):
        return EXIT_USAGE
    return EXIT_FAILED if strict and report.count("warning") else EXIT_OK
