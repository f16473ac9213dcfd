"""Checks and a context -> a report: what was found, which checks passed, which could not be made, which crashed."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from voxcli.doctor.context import Context, Unavailable
from voxcli.doctor.known import about_of, called, chosen, known, unusable, words
from voxcli.doctor.machine.not_importable import library_of
from voxcli.errors import DataError, VoxError
from voxcli.findings import ABOUT, LEVELS, About, Check, Finding
from voxcli.plugins.registry import Registration
from voxcli.recipe.where import Place, nearest

CRASHED = "P006"
NOT_IMPORTED = "M001"


@dataclass(frozen=True)
class Made:
    """One check that was made."""

    check: Check
    distribution: str
    findings: tuple[Finding, ...] = ()
    skipped: bool = False
    """What it needs could not be had."""
    seconds: float = 0.0
    needs: str = ""
    """What it needs and could not have: the name of a part of the context."""


@dataclass(frozen=True)
class Report:
    """What came of an examination."""

    context: Context
    made: Sequence[Made]
    findings: Sequence[Finding]
    """All of them: by what they are about, errors first."""
    names: dict[str, str] = field(default_factory=dict)
    """Code -> name of the check, of the findings that have one."""
    abouts: dict[str, About] = field(default_factory=dict)
    """Code -> what its check looks at."""
    remaining: int = 0
    """Checks that were not begun, where the examination was interrupted."""

    @property
    def passed(self) -> list[Made]:
        """Those that found nothing, and under whose code nothing was found while something was opened."""
        found = {finding.code for finding in self.findings}
        return [made for made in self.made if not made.findings and not made.skipped and made.check.code not in found]

    @property
    def skipped(self) -> list[Made]:
        """Those that could not be made, and of whose code nothing was found."""
        found = {finding.code for finding in self.findings}
        return [made for made in self.made if made.skipped and made.check.code not in found]

    @property
    def unresolved(self) -> bool:
        """Whether the recipe does not resolve, be that told or left out by `--skip`."""
        return "recipe" in self.context.subject.kinds and self.context.opened("recipe") is None

    def count(self, level: str) -> int:
        """Findings of a level."""
        return sum(finding.level == level for finding in self.findings)

    def groups(self) -> Iterator[tuple[About, list[Finding]]]:
        """Findings by what they are about."""
        for about in ABOUT:
            found = [one for one in self.findings if self.about(one) == about]
            if found:
                yield about, found

    def about(self, finding: Finding) -> About:
        """What a finding is about."""
        return about_of(finding.code, self.abouts)

    def place(self, finding: Finding) -> Place | None:
        """Where the recipe sets what a finding is about."""
        if not finding.path:
            return None
        if not self.context.places:
            with contextlib.suppress(Unavailable):
                _ = self.context.recipe
        return nearest(self.context.places, finding.path)


class Examination:
    """The checks of a subject, one after the other; what was found so far is there at any time."""

    def __init__(
        self,
        context: Context,
        *,
        only: Collection[str] = (),
        skip: Collection[str] = (),
        abouts: Collection[About] = ABOUT,
    ) -> None:
        """`abouts`: what the checks may be about. Raises `UsageError` for a word that no check is called."""
        self.context = context
        self._chosen = [one for one in chosen(context, only=only, skip=skip) if one[0].about in abouts]
        self._skip = words(skip)
        every = [check for check, _ in known()]
        self._names = {check.code: check.name for check in every}
        self._abouts: dict[str, About] = {check.code: check.about for check in every}
        self._made: list[Made] = []
        self._current: list[Finding] = []
        self._libraries: dict[str, Finding] = {}
        self._broken = [] if context.training else [_broken(*one) for one in unusable(only, skip)]

    def run(self) -> Report:
        """Make every check that was not made yet."""
        lacks_recipe = self._lacks_recipe()
        with self.context.progress.task("examining", total=len(self._chosen), unit="checks") as bar:
            for check, registration in self._chosen[len(self._made) :]:
                if lacks_recipe:  # every check of a recipe needs it: spares what they import before they ask for it
                    self._made.append(Made(check, registration.distribution, skipped=True, needs="recipe"))
                else:
                    self._made.append(self._make(check, registration))
                bar.advance(1)
        return self.report()

    def _lacks_recipe(self) -> bool:
        """Whether the recipe does not resolve, which is told whichever checks were asked for."""
        if "recipe" not in self.context.subject.kinds:
            return False
        try:
            _ = self.context.recipe
        except Unavailable:
            return True
        return False

    def report(self) -> Report:
        """What was found so far, also within a check that was interrupted."""
        found = [
            finding
            for finding in (
                *self.context.findings,
                *self._libraries.values(),
                *self._broken,
                *(one for made in self._made for one in made.findings),
                *self._current,
            )
            if not any(called(finding.code, self._names.get(finding.code, ""), word) for word in self._skip)
        ]
        found.sort(key=lambda one: (ABOUT.index(about_of(one.code, self._abouts)), LEVELS.index(one.level)))
        left = len(self._chosen) - len(self._made)
        return Report(self.context, self._made, found, self._names, self._abouts, left)

    def _make(self, check: Check, registration: Registration) -> Made:
        begin = time.perf_counter()
        self._current = found = []
        needs = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # odd figures are what checks look for
                for finding in check.run(self.context):
                    found.append(one := _checked(finding, check))
                    self._abouts.setdefault(one.code, about_of(one.code, {}, check.about))
        except Unavailable as missing:
            needs = str(missing)
        except (Exception, SystemExit) as error:  # third-party code or our own defect: the other checks go on
            if isinstance(error, DataError) and check.about == "data":  # said once, whoever reads the data first
                self.context.tell("data", error)
                needs = "data"
            elif library := library_of(error):
                self._libraries.setdefault(library, _not_imported(library, error))
                needs = library
            else:
                found.append(_crashed(check, registration, error))
        self._current = []
        seconds = time.perf_counter() - begin
        return Made(check, registration.distribution, tuple(found), bool(needs) and not found, seconds, needs)


def examine(context: Context, *, only: Collection[str] = (), skip: Collection[str] = ()) -> Report:
    """Make the checks of a subject."""
    return Examination(context, only=only, skip=skip).run()


def _checked(finding: Finding, check: Check) -> Finding:
    """The finding with its code. Raises `TypeError` for what is none, which is a crash of the check."""
    if not isinstance(finding, Finding):
        raise TypeError(f"it yields {type(finding).__name__}, expected Finding")
    if finding.level not in LEVELS:
        raise TypeError(f"it yields a finding of level {finding.level!r}, expected {', '.join(LEVELS)}")
    return dataclasses.replace(finding, code=finding.code or check.code)


def _not_imported(library: str, error: BaseException) -> Finding:
    reason = next(iter(str(error).splitlines()), "")
    return Finding(
        "error",
        f"{library} cannot be imported: {type(error).__name__}: {reason}",
        "`vox doctor` without a recipe says what is wrong with this machine's libraries",
        code=NOT_IMPORTED,
        where=_frame(error),
    )


def _crashed(check: Check, registration: Registration, error: BaseException) -> Finding:
    who = f"{registration.distribution} {registration.version}".rstrip()
    said = error.message if isinstance(error, VoxError) else f"{type(error).__name__}: {error}"
    return Finding(
        "warning",
        f"the check {check.code} ({check.name}) of {who} failed: {said}",
        f"what it looks for is not known; report it to {registration.distribution}, "
        f"or leave it out with --skip {check.code}",
        code=CRASHED,
        where=_frame(error) or f"{type(error).__name__} in {type(check).__module__}",
    )


def _broken(registration: Registration, reason: str) -> Finding:
    who = f"{registration.distribution} {registration.version}".rstrip()
    return Finding(
        "warning",
        f"the check {registration.name} of {who} cannot be used: {reason}",
        f"what it looks for is not known; update {registration.distribution} or report it there, "
        f"or leave it out with --skip {registration.name}",
        code=CRASHED,
        where=registration.target,
    )


def _frame(error: BaseException) -> str:
    """File and line in which it was raised, outermost frames left out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
