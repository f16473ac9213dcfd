"""`vox plugins list`: every component, who brings it, and what is wrong with the plugins that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console
from voxcli.plugins.clashes import clashes

if TYPE_CHECKING:
    from voxcli.plugins.manager import Manager


def list_(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List components and plugins, with their state."""
    from voxcli.plugins.manager import manager

    loaded = manager()
    components: list[dict[str, Any]] = [
        {
            "kind": one.kind,
            "name": one.name,
            "distribution": one.distribution,
            "version": one.version,
            "summary": one.summary,
        }
        for one in loaded.registry
    ]
    states: list[dict[str, Any]] = [
        {
            "name": one.name,
            "distribution": one.distribution,
            "version": one.version,
            "state": one.state,
            "reason": one.reason,
            "import_seconds": round(one.import_seconds, 4),
        }
        for one in loaded.plugins
    ]
    problems = _problems(loaded)
    if json:
        console.write_json({"components": components, "plugins": states, "problems": problems})
        return
    console.write(console.table(("kind", "name", "from", ""), _rows(components)))
    rows = [
        (str(one["name"]), f"{one['distribution']} {one['version']}", one["state"], _seconds(one["import_seconds"]))
        for one in states
    ]
    console.write("\n" + console.table(("plugin", "from", "state", "import"), rows))
    for one in states:
        if one["reason"]:
            console.write(f"\n{one['name']} is {one['state']}: {one['reason']}")
    for text in problems:
        console.write(f"\n{text}")


def _rows(components: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """A line for each component; the checks of a distribution are one line."""
    checks: dict[str, int] = {}
    rows = []
    for one in components:
        who = f"{one['distribution']} {one['version']}"
        if one["kind"] == "check":
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


def _seconds(value: Any) -> str:
    return f"{1000 * value:.0f} ms"
