"""The report of a recipe in stages: the last stage is examined whole, of those before it what they change.

What is found in every stage is said once; what is found in some, with their names and at the lines of their tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from voxcli.api import Split
from voxcli.data.table import Table
from voxcli.doctor.context import Context
from voxcli.doctor.examine import Report
from voxcli.findings import ABOUT, LEVELS, About, Finding, Fix
from voxcli.recipe.recipe import Recipe, Stage
from voxcli.recipe.where import Key, dotted

SECTION = "stage"
_OTHER_DATA = ("data", "filter")  # sections: where a stage has others, its data are looked at too


def with_stages(report: Report, examined: Callable[[Context, Sequence[About]], Report]) -> Report:
    """The report with what is found in the other stages. `examined` makes the checks that are about something."""
    whole: Recipe | None = report.context.opened("recipe")
    if whole is None or not whole.stages:
        return report
    *earlier, last = whole.stages
    found = {len(earlier): list(report.findings)}
    for index, stage in enumerate(earlier):
        context = replace(report.context, findings=[], not_looked_at=[], listed=_listed(report.context, stage, last))
        context._opened = {"recipe": stage.recipe}
        abouts: list[About] = ["recipe", "memory"]
        if any(stage.recipe.tables.get(name) != last.recipe.tables.get(name) for name in _OTHER_DATA):
            abouts.append("data")
        found[index] = list(examined(context, abouts).findings)
    merged = merge(found, whole.stages, whole)
    merged.sort(key=lambda one: (ABOUT.index(report.about(one)), LEVELS.index(one.level)))
    return replace(report, findings=merged)


def merge(found: dict[int, list[Finding]], stages: Sequence[Stage], whole: Recipe) -> list[Finding]:
    """Findings by the number of their stage, from 0 -> each once; what only some stages have is called by them."""
    made: list[Finding] = []
    for index in sorted(found):
        for finding in found[index]:
            having = [other for other in sorted(found) if any(_same(finding, one) for one in found[other])]
            if having[0] != index:
                continue
            everywhere = len(having) == len(found)
            names = ", ".join(f"{one + 1} '{stages[one].name}'" for one in having)
            placed = finding if everywhere else _placed(finding, index, whole)
            message = finding.message if everywhere else f"stage {names}: {finding.message}"
            made.append(replace(placed, message=message))
    return made


def _placed(finding: Finding, index: int, whole: Recipe) -> Finding:
    """The finding with the keys that the stage itself says, in its path and its fix."""
    fix = finding.fix
    if fix is not None and fix.changes:
        changes = {_own(name, index, whole): value for name, value in fix.changes.items()}
        fix = Fix(changes, fix.leave_out)
    path: Key = (SECTION, index, *finding.path)
    return replace(finding, fix=fix, path=path if finding.path and path in whole.places else finding.path)


def _own(name: str, index: int, whole: Recipe) -> str:
    said = {dotted(key) for key in whole.places}
    own = f"{SECTION}.{index}.{name}"
    return own if own in said else name


def _listed(context: Context, stage: Stage, last: Stage) -> dict[Split, Table]:
    data = context.opened("data")
    same = stage.recipe.tables.get("data") == last.recipe.tables.get("data")
    return dict(data.read) if data is not None and same else {}


def _same(one: Finding, other: Finding) -> bool:
    return (one.code, one.message) == (other.code, other.message)
