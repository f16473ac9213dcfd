"""`vox plugins new`: a name and a kind -> the folder of a distribution, ready to install, test and publish."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from voxcli.cli import console
from voxcli.errors import UsageError
from voxcli.plugins.new import License


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called: telugu or vox-telugu.")],
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="What it brings: dataset, augmentation, model … Repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="The new folder; by default ./vox-NAME.")
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="WHO", help='"Ada", or "Ada <ada@example.org>".')
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="One sentence, for PyPI and the README.")
    ] = None,
    license: Annotated[License, typer.Option("--license", help="Under which licence it is published.")] = "Apache-2.0",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a plugin to begin with: a whole distribution with one small working component and its tests.

    Kinds: dataset, augmentation, model, task, backend, decoder, engine, exporter, check. Nothing is overwritten.

    \b
    vox plugins new telugu --kind dataset
    vox plugins new vox-hum --kind augmentation --kind check --author "Ada <ada@example.org>"
    """
    from voxcli.plugins.manager import manager
    from voxcli.plugins.new import NewPlugin, kinds_of, named, refuse_taken, write
    from voxcli.plugins.template import KINDS, files

    bare, kinds = named(name), kinds_of(kind or [])
    plugin = NewPlugin(
        name=bare,
        kinds=kinds,
        description=_line(description, "--description") or f"{_sentence([KINDS[one].summary for one in kinds])}.",
        author=_line(author, "--author") or f"The authors of vox-{bare}",
        license=license,
    )
    refuse_taken(plugin, manager().registry)
    folder = out or Path(plugin.distribution)
    made = files(plugin)
    write(folder, made)
    following = [
        f"cd {shlex.quote(str(folder))}",
        "pip install --editable . --group dev",
        "pytest",
        f"vox plugins info {plugin.distribution}",
    ]
    if json:
        components = [{"kind": kind, "name": name, "target": target} for kind, name, target, _ in plugin.components]
        facts = {"folder": str(folder), "distribution": plugin.distribution, "module": plugin.module}
        console.write_json({**facts, "components": components, "files": list(made), "next": following})
        return
    console.write("\n".join([f"{folder}/", *_tree(list(made)), "", "next:", *(f"  {line}" for line in following)]))


def _line(text: str | None, option: str) -> str | None:
    """One line of text. Raises `UsageError` for several, and for an empty one."""
    if text is None:
        return None
    if not text.strip() or not text.isprintable():
        raise UsageError(f"{option} {text!r} is not one line of text", help=f'{option} "one line"')
    return text.strip()


def _sentence(parts: list[str]) -> str:
    return (text := "; ".join(parts))[0].upper() + text[1:]


def _tree(paths: list[str]) -> list[str]:
    """Paths, sorted -> their files, indented below their folders."""
    lines: list[str] = []
    before: tuple[str, ...] = ()
    for path in paths:
        *folders, file = path.split("/")
        for depth, folder in enumerate(folders):
            if before[: depth + 1] != tuple(folders[: depth + 1]):
                lines.append(f"{'  ' * (depth + 1)}{folder}/")
        before = tuple(folders)
        lines.append(f"{'  ' * (len(folders) + 1)}{file}")
    return lines
