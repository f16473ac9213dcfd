"""Which checks there are, which of them cannot be used, and which a subject and the words of a command line choose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from voxcli.errors import PluginError, UsageError
from voxcli.findings import ABOUT, About, Check
from voxcli.plugins.manager import Manager, manager
from voxcli.plugins.registry import Registration
from voxcli.recipe.explained import EXPLAINED

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

LETTERS: dict[str, About] = {
    "M": "machine",
    "P": "plugins",
    "R": "recipe",
    "D": "data",
    "A": "audio",
    "S": "memory",
    "T": "run",
    "C": "checkpoint",
}
"""The letters of voxcli's own codes."""


def known(loaded: Manager | None = None) -> list[tuple[Check, Registration]]:
    """Every check that can be used, in the order of `ABOUT` and of its code."""
    found = [(check, one) for one, check, _ in _all(loaded or manager()) if check is not None]
    return sorted(found, key=lambda pair: (ABOUT.index(pair[0].about), pair[0].code))


def unusable(
    only: Collection[str] = (), skip: Collection[str] = (), loaded: Manager | None = None
) -> list[tuple[Registration, str]]:
    """Checks that cannot be imported or made, or that are none, with the reason; they are known by what they were
    registered as.
    """
    return [
        (one, reason)
        for one, check, reason in _all(loaded or manager())
        if check is None
        and (not only or any(called(one.name, "", word) for word in words(only)))
        and not any(called(one.name, "", word) for word in words(skip))
    ]


def _all(loaded: Manager) -> Iterator[tuple[Registration, Check | None, str]]:
    for one in loaded.registry:
        if one.kind != "check":
            continue
        try:
            made = loaded.registry.load("check", f"{one.distribution}/{one.name}")()
        except PluginError as error:
            yield one, None, error.message.partition("cannot be imported: ")[2] or error.message
        except (Exception, SystemExit) as error:  # third-party code: the other checks go on
            yield one, None, f"{type(error).__name__}: {error}"
        else:
            wrong = _wrong(made)
            yield (one, None, wrong) if wrong else (one, made, "")


def _wrong(check: object) -> str:
    """What a check lacks; "" where it is one."""
    for name in ("code", "name"):
        value = getattr(check, name, None)
        if not isinstance(value, str) or not value:
            return f"its `{name}` is {value!r}, expected text"
    about = getattr(check, "about", None)
    if about not in ABOUT:
        return f"its `about` is {about!r}, expected one of {', '.join(ABOUT)}"
    return "" if callable(getattr(check, "run", None)) else "it has no method `run`"


def words(given: Collection[str]) -> list[str]:
    """What `--only` and `--skip` hold: words, or several of them joined by commas."""
    return [word.strip() for one in given for word in one.split(",") if word.strip()]


def called(code: str, name: str, word: str) -> bool:
    """Whether a word is the beginning of a code ("D", "R1") or a name."""
    return bool(code) and (code.upper().startswith(word.upper()) or name == word.lower())


def chosen(
    context: Context, *, only: Collection[str] = (), skip: Collection[str] = ()
) -> list[tuple[Check, Registration]]:
    """The checks of a subject. `only` and `skip` hold codes, beginnings of codes ("D", "R1") or names.

    Raises `UsageError` for one that nothing is called.
    """
    every = known(None if context.training else context.plugins)
    wanted, unwanted = words(only), words(skip)
    refuse_unknown([*wanted, *unwanted], every)
    about = context.subject.about
    return [
        (check, one)
        for check, one in every
        if check.about in about
        and (not wanted or any(called(check.code, check.name, word) for word in wanted))
        and not any(called(check.code, check.name, word) for word in unwanted)
        and (not context.training or getattr(check, "before_training", False))
    ]


def refuse_unknown(asked: Collection[str], every: Collection[tuple[Check, Registration]]) -> None:
    """Raise `UsageError` for a word that neither a check nor a problem of recipes is called."""
    codes = {check.code: check.name for check, _ in every}
    codes |= {code: one.name for code, one in EXPLAINED.items()}
    codes |= {one.name: "" for one, _ in unusable()}
    for word in asked:
        if not any(called(code, name, word) for code, name in codes.items()):
            raise UsageError(f"no check is called '{word}'", help=suggestion(word, codes))


def suggestion(word: str, codes: Mapping[str, str]) -> str:
    """The closest code or name, and where all of them are listed."""
    import difflib

    names = {name.lower(): name for pair in codes.items() for name in pair if name}
    close = difflib.get_close_matches(word.lower(), list(names), n=3)
    near = f"did you mean {' or '.join(f'`{names[one]}`' for one in close)}? " if close else ""
    return f"{near}`vox doctor --list` shows all of them"


def about_of(code: str, abouts: Mapping[str, About], other: About = "plugins") -> About:
    """What a code is about: that of its check, or that of its letter; `other` for a code of nobody."""
    return abouts.get(code) or (LETTERS.get(code[:1], other) if code[1:].isdigit() else other)
