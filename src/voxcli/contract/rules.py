"""The rules of the contract: each has a name, what it expects and the repair. The files that try them declare them."""

from __future__ import annotations

from dataclasses import dataclass

from voxcli.contract.report import Level


@dataclass(frozen=True)
class Rule:
    """One thing that is asked of a plugin."""

    of: str
    """A kind of component; "component" for every kind; "plugin" for the plugin itself."""
    name: str
    """The problem, not the cure: "input-changed"."""
    expected: str
    repair: str
    level: Level = "problem"


RULES: dict[str, Rule] = {}
"""Every rule that was declared, by "of/name"."""


def rule(of: str, name: str, expected: str, repair: str, *, level: Level = "problem") -> Rule:
    """Declare a rule. Raises `ValueError` for a name that the kind has already."""
    made = Rule(of, name, " ".join(expected.split()), " ".join(repair.split()), level)
    if f"{of}/{name}" in RULES:
        raise ValueError(f"the rule {of}/{name} is declared twice")
    RULES[f"{of}/{name}"] = made
    return made


RAISES = rule(
    "component",
    "raises",
    "it does its work on ordinary input, or raises a VoxError that says what a person has to repair",
    "run what is named above by itself; the place is the innermost line of the plugin",
)
UNTRIED = rule(
    "component",
    "untried",
    "keys with which it can be tried",
    "give some: check_plugin(..., examples={...}), or `example: ClassVar[dict[str, Any]] = {...}` in the class",
    level="untried",
)
