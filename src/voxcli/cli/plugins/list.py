"""`vox plugins list`: every component, who brings it, and what is wrong with the plugins that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console
from voxcli.errors import UsageError
from voxcli.plugins import known
from voxcli.plugins.clashes import clashes

if TYPE_CHECKING:
    from voxcli.plugins.manager import Manager


def list_(
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="Components of one kind: dataset, augmentation, model …"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List components and plugins, with their state."""
    from voxcli.plugins.manager import manager
    from voxcli.protocols import KINDS

    if kind is not None and kind not in KINDS:
        raise UsageError(f"'{kind}' is no kind of component", help=f"kinds: {', '.join(KINDS)}")
    loaded = manager()
    loaded.wait()
    components: list[dict[str, Any]] = [
        {
            "kind": one.kind,
            "name": one.name,
            "distribution": one.distribution,
            "version": one.version,
            "summary": one.summary,
        }
        for one in loaded.registry
        if kind in (None, one.kind)
    ]
    states: list[dict[str, Any]] = [
        {
            "name": one.name,
            "distribution": one.distribution,
            "version": one.version,
            "state": one.state,
            "reason": one.reason,
            "help": known.repair_of(one),
            "import_seconds": round(one.import_seconds, 4),
        }
        for one in loaded.plugins
    ]
    problems = _problems(loaded)
    if json:
        console.write_json({"components": components, "plugins": states, "problems": problems})
        return
    console.write(console.table(("kind", "name", "from", ""), _rows(components, each=kind == "check")))
    if kind is None:
        _tell(states, problems)


def _tell(states: Sequence[dict[str, Any]], problems: Sequence[str]) -> None:
    """The plugins in a table, and below it why one does not run, and what is odd."""
    rows = [
        (str(one["name"]), f"{one['distribution']} {one['version']}".rstrip(), one["state"], _seconds(one))
        for one in states
    ]
    console.write("\n" + console.table(("plugin", "from", "state", "import"), rows))
    for one in states:
        if one["state"] != "ok":
            why = f": {one['reason']}" if one["reason"] else ""
            console.write(f"\n{one['name']} is {one['state']}{why}")
            if one["help"]:
                console.write(f"  = help: {one['help']}")
    for text in problems:
        console.write(f"\n{text}")


def _rows(components: Sequence[dict[str, Any]], *, each: bool) -> list[tuple[str, str, str, str]]:
    """A line for each component; the checks of a distribution are one line, unless `each` is asked for."""
    checks: dict[str, int] = {}
    rows = []
    for one in components:
        who = f"{one['distribution']} {one['version']}"
        if one["kind"] == "check" and not each:
            checks[who] = checks.get(who, 0) + 1
        else:
            rows.append((one["kind"], one["name"], who, one["summary"]))
    folded = [
        ("check", f"{count} {'check' if count == 1 else 'checks'}", who, "vox doctor --list")
        for who, count in checks.items()
    ]
    return sorted([*rows, *folded], key=lambda row: row[0])


def _problems(loaded: Manager) -> list[str]:
    found = [f"{clash.message}: {clash.help}" for clash in clashes(loaded)]
    return [*found, *(misfit.message for misfit in loaded.misfits() if not misfit.broken)]


def _seconds(one: dict[str, Any]) -> str:
    return f"{1000 * one['import_seconds']:.0f} ms" if one["state"] in ("ok", "broken") else ""
