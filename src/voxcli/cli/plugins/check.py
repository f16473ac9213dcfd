"""`vox plugins check`: everything that a plugin brings, tried for real, and what breaks its contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from voxcli.cli import console
from voxcli.errors import EXIT_FAILED, EXIT_OK, UsageError


def check(
    plugin: Annotated[
        str, typer.Argument(metavar="NAME | FILE.py", help="A distribution, its module, or a one-file plugin.")
    ],
    example: Annotated[
        list[str] | None,
        typer.Option(
            "--example",
            metavar="KIND/NAME.KEY=VALUE",
            help="A key for a component that needs some; repeatable. VALUE as TOML writes it, or plain text.",
        ),
    ] = None,
    only: Annotated[
        str, typer.Option("--only", metavar="KIND/NAME", help="Only this component, or all that begin so: dataset.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Try a plugin's components on small audio and tiny models, and say what breaks their contracts.

    Nothing is downloaded. The exit code is 1 where there is a problem; notes, and what could not be tried for want of
    example keys, do not change it. Authors have the same in a test: `voxcli.testing.check_plugin`.

    \b
    vox plugins check vox-telephone
    vox plugins check gain.py --json
    vox plugins check vox-tapes --example dataset/tapes.root=my/tapes
    """
    import logging

    from voxcli.contract import examine

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of kernels that nobody has asked for
    given = Path(plugin)
    is_file = given.suffix == ".py" or given.is_file()
    report = examine(
        given if is_file else plugin, examples=_examples(example or []), only=only, progress=console.progress()
    )
    if json:
        console.write_json(report.as_json())
    else:
        console.write(report.text())
    return EXIT_FAILED if report.problems else EXIT_OK


def _examples(given: list[str]) -> dict[str, dict[str, Any]]:
    """ "dataset/tapes.root=my/tapes" of each -> {"dataset/tapes": {"root": "my/tapes"}}."""
    found: dict[str, dict[str, Any]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        component, dot, key = name.partition(".")
        if not equals or not dot or not key or "/" not in component:
            raise UsageError(f"--example {one}", help="KIND/NAME.KEY=VALUE, for example dataset/tapes.root=my/tapes")
        found.setdefault(component, {})[key] = _value(value)
    return found


def _value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
