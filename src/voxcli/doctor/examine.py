"""Checks and a context -> a report: what was found, which checks passed, which could not be made, which crashed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from voxcli.doctor.context import Context, Unavailable
from voxcli.errors import PluginError, UsageError, VoxError
from voxcli.findings import ABOUT, LEVELS, Check, Finding
from voxcli.plugins.manager import Manager, manager
from voxcli.plugins.registry import Registration
from voxcli.recipe.where import Place, nearest

CRASHED = "P006"


@dataclass(frozen=True)
class Made:
    """One check that was made."""

    check: Check
    distribution: str
    findings: tuple[Finding, ...] = ()
    skipped: bool = False
    """What it needs could not be had."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """What came of an examination."""

    context: Context
    made: Sequence[Made]
    findings: Sequence[Finding]
    """All of them: by what they are about, errors first."""
    names: dict[str, str] = field(default_factory=dict)
    """Code -> name of the check, of the findings that have one."""

    @property
    def passed(self) -> int:
        """How many checks found nothing."""
        return sum(not made.findings and not made.skipped for made in self.made)

    @property
    def skipped(self) -> list[Made]:
        """Those that could not be made."""
        return [made for made in self.made if made.skipped]

    def count(self, level: str) -> int:
        """Findings of a level."""
        return sum(finding.level == level for finding in self.findings)

    def place(self, finding: Finding) -> Place | None:
        """Where the recipe sets what a finding is about."""
        return nearest(self.context.places, finding.path) if finding.path else None


def known(loaded: Manager | None = None) -> list[tuple[Check, Registration]]:
    """Every check that is installed, in the order of `ABOUT` and of its code. One that cannot be imported is left out
    here and named by the check of broken plugins.
    """
    found = []
    for one in (loaded or manager()).registry:
        if one.kind != "check":
            continue
        try:
            check: Check = (loaded or manager()).registry.load("check", f"{one.distribution}/{one.name}")()
        except (PluginError, TypeError):
            continue
        found.append((check, one))
    return sorted(found, key=lambda pair: (ABOUT.index(pair[0].about), pair[0].code))


def chosen(
    context: Context, *, only: Collection[str] = (), skip: Collection[str] = ()
) -> list[tuple[Check, Registration]]:
    """The checks of a subject. `only` and `skip` hold codes, beginnings of codes ("D", "R1") or names.

    Raises `UsageError` for one that nothing is called.
    """
    every = known()
    for word in (*only, *skip):
        if not any(_named(check, word) for check, _ in every):
            raise UsageError(f"no check is called '{word}'", help="`vox doctor --list` shows all of them")
    about = context.subject.about
    return [
        (check, one)
        for check, one in every
        if check.about in about
        and (not only or any(_named(check, word) for word in only))
        and not any(_named(check, word) for word in skip)
        and (not context.training or getattr(check, "before_training", False))
    ]


def examine(context: Context, *, only: Collection[str] = (), skip: Collection[str] = ()) -> Report:
    """Make the checks of a subject, one after the other."""
    made: list[Made] = []
    names: dict[str, str] = {check.code: check.name for check, _ in known()}
    groups: dict[str, list[Finding]] = {}
    with context.progress.task("examining", unit="checks") as bar:
        for check, registration in chosen(context, only=only, skip=skip):
            one = _made(check, registration, context)
            made.append(one)
            groups.setdefault(check.about, []).extend(one.findings)
            bar.advance(1)
    opening = [finding for finding in context.findings if not any(_named_code(finding.code, word) for word in skip)]
    found = [*opening, *(finding for about in ABOUT for finding in _sorted(groups.get(about, ())))]
    return Report(context, made, found, names)


def _made(check: Check, registration: Registration, context: Context) -> Made:
    begin = time.perf_counter()
    found: list[Finding] = []
    skipped = False
    try:
        for finding in check.run(context):
            found.append(dataclasses.replace(finding, code=finding.code or check.code))
    except Unavailable:
        skipped = not found
    except Exception as error:  # third-party code or our own defect: the other checks go on
        who = f"{registration.distribution} {registration.version}"
        said = error.message if isinstance(error, VoxError) else f"{type(error).__name__}: {error}"
        found.append(
            Finding(
                "warning",
                f"the check {check.code} ({check.name}) of {who} failed: {said}",
                f"what it looks for is not known; please report it to {registration.distribution}, "
                f"or leave it out with --skip {check.code}",
                code=CRASHED,
                where=f"{type(error).__name__} in {type(check).__module__}",
            )
        )
    return Made(check, registration.distribution, tuple(found), skipped, time.perf_counter() - begin)


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def _named(check: Check, word: str) -> bool:
    return _named_code(check.code, word) or check.name == word


def _named_code(code: str, word: str) -> bool:
    return bool(code) and code.upper().startswith(word.upper())
