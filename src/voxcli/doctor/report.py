"""A report -> what a person reads, and the table for a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voxcli.doctor.examine import Report
from voxcli.findings import Finding
from voxcli.recipe.where import dotted

NAMED = 5  # utterances on the screen; --json has all


def lines(report: Report) -> Iterator[str]:
    """The report for a person."""
    for finding in report.findings:
        yield f"{finding.level}[{finding.code}]: {finding.message}"
        place = report.place(finding)
        if place is not None or finding.where:
            yield f"  --> {place or finding.where}"
        if finding.utterances:
            yield f"   = utterances: {', '.join(finding.utterances[:NAMED])}"
        if finding.help:
            yield f"   = help: {finding.help}"
    yield f"{report.passed} checks passed"


def table(report: Report) -> dict[str, Any]:
    """The report as a JSON-able table."""
    subject = report.context.subject
    return {
        "subject": {"name": subject.name, "kinds": list(subject.kinds)},
        "findings": [_finding(finding, report) for finding in report.findings],
        "checks": {
            "passed": [made.check.code for made in report.made if not made.findings and not made.skipped],
            "failed": sorted({finding.code for finding in report.findings}),
            "skipped": [made.check.code for made in report.skipped],
        },
        "counts": {level: report.count(level) for level in ("error", "warning", "note")},
    }


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    place = report.place(finding)
    return {
        "code": finding.code,
        "name": report.names.get(finding.code),
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
