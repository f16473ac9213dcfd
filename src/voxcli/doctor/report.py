"""A report -> what a person reads, grouped by what was looked at, and the table for a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import voxcli
from voxcli.doctor.examine import Report
from voxcli.doctor.machine.not_importable import LIBRARIES
from voxcli.findings import LEVELS, About, Finding
from voxcli.recipe.render import source
from voxcli.recipe.where import dotted

NAMED = 5  # utterances on the screen; --json has all
MANY = 8  # checks that could not be made are counted beyond, not named

HEADINGS: dict[About, str] = {
    "machine": "this machine",
    "plugins": "plugins",
    "recipe": "recipe",
    "data": "data",
    "audio": "audio",
    "memory": "memory and speed",
    "run": "run",
    "checkpoint": "checkpoint",
}
STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan", "heading": "bold", "aside": "dim"}

NEEDS = {
    "recipe": "a recipe that resolves",
    "limits": "the limits of a model",
    "config": "the config of a model",
    "skeleton": "a model that can be built",
    "bundle": "a model that can be built",
    "data": "data that can be listed",
    "splits": "a training split",
    "prediction": "a prediction of memory",
    "record": "the log of a run",
    "checkpoint": "the folder of a model",
}
"""What checks that could not be made need, by part of the context."""

Paint = Callable[[str, str], str]
"""(text, style) -> the text as the terminal shows it."""


def plain(text: str, style: str) -> str:
    """The text without colour."""
    return text


def lines(report: Report, paint: Paint = plain) -> Iterator[str]:
    """The report for a person: findings by group, then what came of it."""
    for about, found in report.groups():
        yield paint(HEADINGS[about], STYLES["heading"])
        yield ""
        for finding in found:
            yield from finding_lines(finding, report, paint)
            yield ""
    yield from summary(report, paint)


def finding_lines(finding: Finding, report: Report, paint: Paint = plain) -> Iterator[str]:
    """One finding: level, code and message, where, which utterances, the repair."""
    head = f"{finding.level}[{finding.code}]" if finding.code else finding.level
    yield f"{paint(head, STYLES[finding.level])}: {finding.message}"
    place = report.place(finding)
    if finding.where:
        yield f"  --> {finding.where}"
    if place is not None:
        yield from source(place)
    if finding.utterances:
        yield f"   = utterances: {named(finding.utterances)}"
    if finding.help:
        yield f"   = help: {finding.help}"


def named(utterances: tuple[str, ...]) -> str:
    """The first few ids, and how many more there are."""
    more = len(utterances) - NAMED
    return ", ".join(utterances[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def summary(report: Report, paint: Paint = plain) -> Iterator[str]:
    """How many checks passed, what was found, and what was not looked at."""
    counts = [
        paint(amount, STYLES[level]) if report.count(level) else amount
        for level in LEVELS
        if (amount := counted(report.count(level), level))
    ]
    yield f"{len(report.passed)} checks passed, {', '.join(counts)}"
    for line in not_looked_at(report):
        yield paint(f"not looked at: {line}", STYLES["aside"])


def not_looked_at(report: Report) -> Iterator[str]:
    """What was left out of the examination, and why."""
    needs: dict[str, list[str]] = {}
    for made in report.skipped:
        part = made.needs.partition(" ")[0]
        other = f"a {part} that can be imported" if part in LIBRARIES else f"what could not be opened ({part})"
        need = NEEDS.get(part, other)
        if part == "recipe" and not {"recipe", "run"} & set(report.context.subject.kinds):
            need = "a recipe"
        needs.setdefault(need, []).append(made.check.code)
    for need, codes in needs.items():
        if len(codes) > MANY:
            yield f"{len(codes)} checks, which need {need}"
        else:
            yield f"{', '.join(codes)}, which {'need' if len(codes) > 1 else 'needs'} {need}"
    yield from report.context.not_looked_at
    if not report.made and not report.remaining:
        yield f"{report.context.subject.name}: none of these checks is about it"
    if report.remaining:
        yield f"{counted(report.remaining, 'check')} more: interrupted"


def counted(number: int, noun: str) -> str:
    """1 error, 2 errors."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def table(report: Report) -> dict[str, Any]:
    """The report as a JSON-able table; docs/doctor.md says what each field is."""
    subject = report.context.subject
    return {
        "voxcli": voxcli.__version__,
        "subject": {"name": subject.name, "kinds": list(subject.kinds)},
        "findings": [_finding(finding, report) for finding in report.findings],
        "checks": {
            "passed": [made.check.code for made in report.passed],
            "failed": sorted({finding.code for finding in report.findings}),
            "skipped": [made.check.code for made in report.skipped],
        },
        "counts": {level: report.count(level) for level in LEVELS},
        "not_looked_at": list(not_looked_at(report)),
        "complete": report.remaining == 0,
    }


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    place = report.place(finding)
    return {
        "code": finding.code,
        "name": report.names.get(finding.code),
        "about": report.about(finding),
        "level": finding.level,
        "message": finding.message,
        "help": finding.help,
        "key": dotted(finding.path) if finding.path else None,
        "file": str(place.path) if place is not None and place.path is not None else None,
        "line": place.line if place is not None else None,
        "where": finding.where or (str(place) if place is not None else None),
        "utterances": list(finding.utterances),
        "fix": None
        if finding.fix is None
        else {"changes": dict(finding.fix.changes), "leave_out": list(finding.fix.leave_out)},
    }
