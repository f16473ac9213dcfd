"""`vox explain`: the code of a finding in; what is wrong, why it matters, how it is repaired, out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console

if TYPE_CHECKING:
    from voxcli.doctor.explain import Entry


def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE]...", help="Codes or names of findings; nothing: list all.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a check of `vox doctor` looks for, why, and the repair.

    \b
    vox explain R103
    vox explain warmup-longer-than-run
    """
    from voxcli.doctor.explain import entries, explained

    if not codes:
        show_list(entries(), json=json)
        return
    found = explained(codes)
    if json:
        console.write_json(
            [{**listed(one), "text": one.text, "figures": [str(f) for f in one.figures]} for one in found]
        )
        return
    for number, one in enumerate(found):
        console.write(("\n" if number else "") + f"{console.paint(f'{one.code} {one.name}', 'bold')}\n\n{one.text}")
        if one.figures:
            console.write("\nFigures:\n" + "\n".join(_bullet(str(figure)) for figure in one.figures))
        if one.distribution != "voxcli":
            console.write(f"\nFrom: {one.distribution} {one.version}")


def _bullet(text: str) -> str:
    """A line of a list, as wide as docstrings are."""
    return textwrap.fill(text, 118, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def show_list(found: Sequence[Entry], *, json: bool) -> None:
    """All checks, a line each."""

    if json:
        console.write_json([listed(one) for one in found])
        return
    rows = [(one.code, one.name, one.about, f"{one.distribution} {one.version}".rstrip(), one.summary) for one in found]
    console.write(console.table(("code", "name", "about", "from", ""), rows))


def listed(one: Entry) -> dict[str, Any]:
    """A check for a script."""
    return {
        "code": one.code,
        "name": one.name,
        "about": one.about,
        "distribution": one.distribution,
        "version": one.version,
        "before_training": one.before_training,
        "summary": one.summary,
    }
