"""`vox doctor`: a machine, a recipe, data, a run or a checkpoint in; what is wrong, and what to change, out."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli import console, imports
from voxcli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UsageError
from voxcli.findings import ABOUT, About

if TYPE_CHECKING:
    from voxcli.doctor.examine import Report


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
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CODE", help="These checks alone: codes, beginnings of codes, names."),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="CODE", help="All but these.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read all audio, and weights where that says more.")] = False,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="NAME|SIZE", help="A card to ask for: rtx-3060, 8GiB; default: this machine's."),
    ] = None,
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help="A processor with this much memory: 16GiB.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Change the recipe, list utterances to leave out; the difference is shown.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --fix: do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --fix: show the difference, write nothing.")] = False,
    paste: Annotated[
        bool, typer.Option("--report", help="Print a text to paste into an issue, without secrets and user paths.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="With --report: write it here.")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List all checks, with --only and --skip some of them.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say what is wrong, where, and what to change.

    Exit code 0 where nothing is above a note, 2 for errors, with --strict 1 for warnings.

    \b
    vox doctor recipe.toml
    vox doctor recipe.toml --fix
    vox doctor runs/mine --only T
    """
    if list_:
        from voxcli.cli.explain import show_list
        from voxcli.doctor.explain import entries

        show_list(entries(only or (), skip or ()), json=json)
        return EXIT_OK
    _check_options(fix=fix, yes=yes, dry_run=dry_run, paste=paste, out=out, json=json)
    from voxcli.cli.doctor_fix import fixed
    from voxcli.doctor.context import Context, Unavailable
    from voxcli.doctor.report import lines, table
    from voxcli.doctor.stages import with_stages
    from voxcli.doctor.subject import subject
    from voxcli.memory.machine import named

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    what, device = subject(given), named(gpu, ram)
    words = [*([given] if given is not None else ()), *(overrides or ())]

    def examined(overrides: tuple[str, ...]) -> Report:
        context = Context(what, overrides, full=full, device=device, progress=console.progress())
        if "recipe" in what.kinds and not only:
            with contextlib.suppress(Unavailable):  # a recipe that does not resolve is told of without its model
                if context.recipe:
                    imports.libraries()

        def checked(context: Context, abouts: Sequence[About] = ABOUT) -> Report:
            return _examined(context, only or [], skip or [], abouts)

        return with_stages(checked(context), checked)

    report = examined(tuple(overrides or ()))
    if paste:
        _paste(report, words, out)
        return _exit_code(report, strict=strict)
    if not json:
        console.write("\n".join(lines(report, console.paint)))
    written = None
    if fix and not report.remaining:
        report, written = fixed(report, lambda: examined(()), yes=yes, dry_run=dry_run, json=json)
    if json:
        console.write_json(table(report) | ({"fix": written} if written is not None else {}))
    elif not fix:
        _next(report, words, _options(only, skip, gpu, ram, full=full))
    return _exit_code(report, strict=strict)


def _check_options(*, fix: bool, yes: bool, dry_run: bool, paste: bool, out: Path | None, json: bool) -> None:
    """Raise `UsageError` for options that do not go together."""
    if paste and (fix or json):
        other = "--fix" if fix else "--json"
        raise UsageError(f"--report and {other} are two outputs", help=f"leave {other} out")
    if out is not None and not paste:
        raise UsageError("--out belongs to --report", help="add --report")
    if out is not None and out.exists():
        raise UsageError(f"{out} exists already", help="give another --out, or remove it")
    if (yes or dry_run) and not fix:
        raise UsageError(f"{'--yes' if yes else '--dry-run'} belongs to --fix", help="add --fix")
    if fix and not yes and not dry_run and (json or not console.answers()):
        raise UsageError("--fix asks before it writes, and nobody is there to answer", help="add --yes, or --dry-run")


def _examined(context: object, only: list[str], skip: list[str], abouts: Sequence[About] = ABOUT) -> Report:
    """The report; of what was done so far after Ctrl-C."""
    from voxcli.doctor.context import Context
    from voxcli.doctor.examine import Examination

    assert isinstance(context, Context)
    begun = Examination(context, only=only, skip=skip, abouts=abouts)
    try:
        return begun.run()
    except KeyboardInterrupt:
        return begun.report()


def _paste(report: Report, words: list[str], out: Path | None) -> None:
    """The text for an issue, on stdout or in a file."""
    from voxcli.doctor.paste import text

    made = text(report, shlex.join(["vox", "doctor", *words, "--report"]))
    if out is None:
        console.write(made)
    else:
        out.write_text(made, encoding="utf-8")
        console.say(f"wrote {out}: read it before you send it")


def _next(report: Report, words: list[str], options: list[str]) -> None:
    """The commands to go on with."""
    lines = []
    if any(finding.fix is not None for finding in report.findings):
        lines.append(shlex.join(["vox", "doctor", *words, *options, "--fix"]))
    codes = list(dict.fromkeys(finding.code for finding in report.findings if finding.code))
    if codes:
        plugins = options[options.index("--plugin") :] if "--plugin" in options else []
        lines.append(shlex.join(["vox", "explain", codes[0], *plugins]))
    for number, line in enumerate(lines):
        console.write(("next: " if number == 0 else "      ") + line)


def _options(
    only: list[str] | None, skip: list[str] | None, gpu: str | None, ram: str | None, *, full: bool
) -> list[str]:
    """The options that decide what is found, as they were given."""
    from voxcli.plugins.manager import files

    given: dict[str, Sequence[object]] = {
        "--only": only or [],
        "--skip": skip or [],
        "--gpu": [gpu],
        "--ram": [ram],
        "--plugin": files(),
    }
    pairs = [word for option, values in given.items() for value in values if value for word in (option, str(value))]
    return [*(["--full"] if full else []), *pairs]


def _exit_code(report: Report, *, strict: bool) -> int:
    if report.remaining:
        return EXIT_INTERRUPTED
    if report.count("error") or report.unresolved:
        return EXIT_USAGE
    return EXIT_FAILED if strict and report.count("warning") else EXIT_OK
