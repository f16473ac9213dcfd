"""Every code that `vox doctor` may say -> what it is, from the docstrings of the checks and `recipe.explained`."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import voxcli
from voxcli.doctor.figures import Figure, figures
from voxcli.doctor.known import called, known, refuse_unknown, suggestion, words
from voxcli.errors import UsageError
from voxcli.findings import ABOUT, About
from voxcli.plugins.registry import BUILTIN
from voxcli.recipe.explained import EXPLAINED


@dataclass(frozen=True)
class Entry:
    """One code."""

    code: str
    name: str
    about: About
    text: str
    """A first line that says what is wrong, then paragraphs "Why:", "Repair:", "Sources:"."""
    distribution: str
    version: str
    before_training: bool = False
    """Whether `vox train` makes it first."""
    figures: tuple[Figure, ...] = ()
    """What it compares with."""

    @property
    def summary(self) -> str:
        """The first sentence of the text, on one line."""
        return " ".join(self.text.partition("\n\n")[0].split())


def entries(only: Collection[str] = (), skip: Collection[str] = ()) -> list[Entry]:
    """Every code, by what it is about; or those that words of a command line name. Raises `UsageError`."""
    checks = known()
    refuse_unknown([*words(only), *words(skip)], checks)
    found = {
        code: Entry(code, one.name, "recipe", one.text, BUILTIN, voxcli.__version__, True)
        for code, one in EXPLAINED.items()
    }
    for check, one in checks:
        text = inspect.getdoc(type(check)) or ""
        first = getattr(check, "before_training", False)
        who = (one.distribution, one.version)
        compared = tuple(figures(type(check)))
        found[check.code] = Entry(check.code, check.name, check.about, text, *who, first, compared)
    return sorted(
        (
            one
            for one in found.values()
            if (not only or any(called(one.code, one.name, word) for word in words(only)))
            and not any(called(one.code, one.name, word) for word in words(skip))
        ),
        key=lambda one: (ABOUT.index(one.about), one.code),
    )


def explained(asked: Sequence[str]) -> list[Entry]:
    """The entries of codes or names, in the order given. Raises `UsageError` for one that nothing is called."""
    every = entries()
    found = []
    for word in words(asked):
        match = next((one for one in every if word.upper() == one.code.upper() or word.lower() == one.name), None)
        if match is None:
            help = suggestion(word, {one.code: one.name for one in every})
            raise UsageError(f"there is no check '{word}'", help=help)
        found.append(match)
    return found
