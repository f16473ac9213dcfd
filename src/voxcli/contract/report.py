"""What was tried of a plugin and what was found: problems, what could not be tried, notes; as text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

WIDTH = 110  # characters of a line of the text
ALIKE = 2  # remarks of one rule about one component that are shown
FOLDED = 5  # checks from which their trials are one line
INDENT = "            "

Level = Literal["problem", "untried", "note"]
LEVELS: tuple[Level, ...] = ("problem", "untried", "note")


@dataclass(frozen=True)
class Remark:
    """One thing that is not as it should be."""

    level: Level
    """`problem`: the contract is broken. `untried`: it could not be tried, usually for want of example keys. `note`:
    worth a thought."""
    component: str
    """ "augmentation/gain"; "plugin" where it is the plugin itself."""
    rule: str
    """Name of the rule, for example "input-changed"."""
    found: str
    expected: str
    repair: str


@dataclass(frozen=True)
class Trial:
    """Something that was tried, whatever came of it."""

    component: str
    what: str
    seconds: float


@dataclass
class Report:
    """Everything that is known of one plugin after it was tried."""

    name: str
    """The module, or the file."""
    distribution: str = ""
    version: str = ""
    remarks: list[Remark] = field(default_factory=list)
    tried: list[Trial] = field(default_factory=list)
    more: dict[tuple[str, str], set[Remark]] = field(default_factory=dict)
    """(component, rule) -> further remarks of that rule, which are counted and not shown."""

    def add(self, remark: Remark) -> None:
        """Keep a remark; of each rule a component has the first `ALIKE`, the rest are counted."""
        if remark in self.remarks:
            return
        key = (remark.component, remark.rule)
        if sum((one.component, one.rule) == key for one in self.remarks) < ALIKE:
            self.remarks.append(remark)
        else:
            self.more.setdefault(key, set()).add(remark)

    @property
    def problems(self) -> list[Remark]:
        """What breaks the contract."""
        return self._of("problem")

    @property
    def untried(self) -> list[Remark]:
        """What nothing is known of."""
        return self._of("untried")

    @property
    def notes(self) -> list[Remark]:
        """What is worth a thought."""
        return self._of("note")

    @property
    def seconds(self) -> float:
        """What all trials took."""
        return sum(one.seconds for one in self.tried)

    def _of(self, level: Level) -> list[Remark]:
        return [one for one in self.remarks if one.level == level]

    def summary(self) -> str:
        """One line: which plugin, and how many remarks of each level."""
        who = " ".join(part for part in (self.distribution, self.version) if part)
        name = f"{self.name} ({who})" if who and who != self.name else self.name
        counts = [
            _counted(len(self.problems), "problem"),
            *([f"{len(self.untried)} not tried"] if self.untried else []),
            *([_counted(len(self.notes), "note")] if self.notes else []),
        ]
        return f"{name}: {', '.join(counts)}"

    def text(self) -> str:
        """All of it for a person: each remark with what was found, what is expected and the repair."""
        parts = [self.summary()]
        parts += ["\n".join(self._remark(one)) for level in LEVELS for one in self._of(level)]
        parts.append("\n".join(self._trials()))
        return "\n\n".join(parts) + "\n"

    def _remark(self, one: Remark) -> Iterator[str]:
        more = len(self.more.get((one.component, one.rule), ()))
        alike = [other for other in self.remarks if (other.component, other.rule) == (one.component, one.rule)]
        last = f" (and {more} more of the kind)" if more and one is alike[-1] else ""
        yield f"{one.level}: {one.component} [{one.rule}]"
        for label, text in (("found", one.found + last), ("expected", one.expected), ("repair", one.repair)):
            if text:
                lead = f"  {label + ':':<{len(INDENT) - 2}}"
                yield textwrap.fill(
                    " ".join(text.split()), WIDTH, initial_indent=lead, subsequent_indent=INDENT, break_on_hyphens=False
                )

    def _trials(self) -> Iterator[str]:
        yield f"tried, in {self.seconds:.1f} s:"
        by_component: dict[str, list[Trial]] = {}
        checks = len({one.component for one in self.tried if one.component.startswith("check/")})
        for one in self.tried:
            folded = checks > FOLDED and one.component.startswith("check/")
            by_component.setdefault(f"{checks} checks" if folded else one.component, []).append(one)
        width = max(map(len, by_component), default=0)
        for component, trials in by_component.items():
            what = ", ".join(dict.fromkeys(one.what for one in trials))
            lead = f"  {component:<{width}}  {sum(one.seconds for one in trials):6.2f} s  "
            yield textwrap.fill(what, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "plugin": self.name,
            "distribution": self.distribution,
            "version": self.version,
            **{f"{level}s" if level != "untried" else level: _plain(self._of(level)) for level in LEVELS},
            "tried": [vars(one) | {"seconds": round(one.seconds, 4)} for one in self.tried],
            "seconds": round(self.seconds, 3),
        }


def _plain(remarks: list[Remark]) -> list[dict[str, str]]:
    names = ("component", "rule", "found", "expected", "repair")
    return [{name: getattr(one, name) for name in names} for one in remarks]


def _counted(count: int, what: str) -> str:
    return f"no {what}s" if not count else f"{count} {what}{'s' if count > 1 else ''}"
