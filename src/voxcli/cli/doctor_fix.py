"""`vox doctor --fix`: shows what would be written, asks, writes, and looks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from voxcli.cli import console
from voxcli.doctor.examine import Report
from voxcli.doctor.fix import Repair, repair
from voxcli.doctor.report import counted, lines
from voxcli.recipe.where import shown

ROUNDS = 5  # what one repair uncovers is repaired in the next round
SHOWN = 20  # lines that a difference adds in a row on the screen


def fixed(
    report: Report, again: Callable[[], Report], *, yes: bool, dry_run: bool, json: bool
) -> tuple[Report, list[dict[str, Any]]]:
    """Write the repairs of a report, round by round; the report of what is left, and what was written.

    `again` examines anew. Raises `UsageError` where the recipe is not the reader's to change.
    """
    written: list[dict[str, Any]] = []
    before: set[bytes] = set()
    for _ in range(ROUNDS):
        found = repair(report)
        for line in found.said:
            console.say(f"note: {line}")
        state = b"\0".join(one.after for one in (found.edit, found.listed) if one is not None)
        if not found or state in before:
            if not written:
                console.say("nothing that --fix can change")
            return report, written
        before.add(state)
        if not json:
            console.write(shortened(found.difference()))
        if dry_run:
            console.say("nothing is written")
            return report, _told(found, written=False)
        if not yes and not typer.confirm(f"write {_names(found)}?", err=True):
            console.say("nothing is written" if not written else "nothing more is written")
            return report, written
        found.write()
        written += _told(found, written=True)
        console.say(f"wrote {_names(found)}; looking again")
        report = again()
        if not json:
            console.write("\n" + "\n".join(lines(report, console.paint)))
        if report.remaining or not any(finding.fix for finding in report.findings):
            break
    return report, written


def shortened(difference: str) -> str:
    """A difference of which long runs of added lines are cut."""
    kept: list[str] = []
    run: list[str] = []
    for line in [*difference.splitlines(), ""]:
        if line.startswith("+") and not line.startswith("+++"):
            run.append(line)
            continue
        kept += run[:SHOWN]
        if len(run) > SHOWN:
            kept.append(f"  … and {counted(len(run) - SHOWN, 'line')} more")
        run = []
        kept.append(line)
    return "\n".join(kept)


def _names(found: Repair) -> str:
    return " and ".join(shown(path) for path in found.paths())


def _told(found: Repair, *, written: bool) -> list[dict[str, Any]]:
    return [
        {"file": str(one.path), "difference": one.difference(), "written": written}
        for one in (found.edit, found.listed)
        if one is not None
    ]
