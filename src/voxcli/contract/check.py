"""A check of `vox doctor` on this machine, a healthy recipe, its data, a checkpoint, and on what cannot be opened."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voxcli.contract import material, training
from voxcli.contract.bench import Bench, Component
from voxcli.contract.registration import CODE, KEBAB
from voxcli.contract.rules import Rule, rule
from voxcli.contract.target import registry_of
from voxcli.doctor.known import LETTERS
from voxcli.errors import DataError
from voxcli.findings import ABOUT, LEVELS, Finding

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


def _rule(name: str, expected: str, repair: str, **more: Any) -> Rule:
    return rule("check", name, expected, repair, **more)


CODED = _rule("code", "`code: ClassVar[str]`: letters of the plugin's own and a number, as it is registered", "ACME001")
NAMED = _rule(
    "name", "`name: ClassVar[str]`: the problem in lower-case words joined by hyphens", 'name = "text-too-long"'
)
ABOUTS = _rule("about", f"`about: ClassVar[About]`: one of {', '.join(ABOUT)}", "choose what it looks at")
PARAGRAPHS = _rule(
    "paragraphs",
    'a docstring with paragraphs that begin "Why:" and "Repair:": `vox explain CODE` prints it',
    'write them; a paragraph "Sources:" says how it is known',
)
SOURCES = _rule(
    "no-sources", 'a paragraph "Sources:"', "say where it is known from: a paper, an issue, a measurement", level="note"
)
YIELDS = _rule(
    "findings",
    f"`run(context)` yields `voxcli.api.Finding`s of the levels {', '.join(LEVELS)}",
    "yield Finding(level, …)",
)
HELP = _rule("no-repair", "a finding of level error or warning says the repair in `help`", "add help=…", level="note")
CHANGED = _rule(
    "not-deterministic", "the same findings each time", "sort what comes from sets and from the file system"
)


def try_check(bench: Bench, component: Component) -> None:
    """What it says of itself, then what it finds."""
    made = component.made
    if made is None:
        return
    with bench.trial(component, "code, name, docstring"):
        _form(bench, component)
    for what, context in _contexts(getattr(made, "about", None)):
        with bench.trial(component, what):
            first = _findings(bench, component, context)
            if first is not None and first != _findings(bench, component, context):
                bench.remark(component, CHANGED, f"{what}: other findings the second time")


def _form(bench: Bench, component: Component) -> None:
    made = component.made
    code, name, about = (getattr(made, one, None) for one in ("code", "name", "about"))
    if not isinstance(code, str) or not CODE.fullmatch(code):
        bench.remark(component, CODED, f"its code is {code!r}")
    elif code != component.registration.name:
        bench.remark(component, CODED, f"its code is {code}, it is registered as {component.registration.name}")
    elif not bench.target.builtin and code.rstrip("0123456789") in LETTERS:
        bench.remark(component, CODED, f"its code is {code}, and {code[0]} followed by a number is voxcli's")
    if not isinstance(name, str) or not KEBAB.fullmatch(name):
        bench.remark(component, NAMED, f"its name is {name!r}")
    if about not in ABOUT:
        bench.remark(component, ABOUTS, f"it is about {about!r}")
    text = component.cls.__doc__ or ""
    missing = [one for one in ("Why:", "Repair:") if not re.search(rf"^\s*{one}", text, re.MULTILINE)]
    if missing:
        bench.remark(component, PARAGRAPHS, f"its docstring has no paragraph {' and no '.join(missing)}")
    if not re.search(r"^\s*Sources?:", text, re.MULTILINE):
        bench.remark(component, SOURCES, "its docstring has none")


def _findings(bench: Bench, component: Component, context: Context) -> list[Finding] | None:
    """What it yields; None where it has nothing to look at, or yields something else."""
    from voxcli.doctor.context import Unavailable

    found: list[Finding] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for one in component.made.run(context):
                if not isinstance(one, Finding) or one.level not in LEVELS:
                    bench.remark(component, YIELDS, f"it yields {one!r:.120}")
                    return None
                if one.level != "note" and not one.help:
                    bench.remark(component, HELP, f"{one.level}: {one.message}")
                found.append(one)
    except Unavailable:
        return None
    except DataError:
        if component.made.about != "data":  # said once, by whoever reads the data first
            raise
        return None
    return found


def _contexts(about: Any) -> Iterator[tuple[str, Context]]:
    """What checks of this kind look at: something healthy, and something that is not there."""
    from voxcli.doctor.context import Context
    from voxcli.doctor.subject import Subject

    if about in ("machine", "plugins"):
        yield "this machine", _opened("machine")
    elif about in ("recipe", "data", "audio", "memory"):
        yield "a healthy recipe and its data", _opened("recipe")
        gone = material.folder() / "gone.toml"
        yield "a recipe that is not there", Context(Subject(("recipe",), gone.name, gone))
    elif about == "checkpoint":
        yield "a healthy checkpoint", _opened("checkpoint")
        yield "an empty folder", Context(Subject(("checkpoint",), "empty", _empty("empty-checkpoint")))
    elif about == "run":
        yield "a run of two steps", _opened("run")
        yield "a run without a log", Context(Subject(("run",), "empty", _empty("empty-run")))


_CONTEXTS: dict[str, Any] = {}


def _opened(what: str) -> Context:
    """One context for all checks: each part of it is opened once."""
    from voxcli.doctor.context import Context
    from voxcli.doctor.subject import Subject

    if what not in _CONTEXTS:
        if what == "machine":
            _CONTEXTS[what] = Context(Subject(("machine",), "this machine"))
        elif what == "recipe":
            path = training.recipe(material.folder() / "recipe.toml")
            _CONTEXTS[what] = Context(Subject(("recipe",), path.name, path))
        elif what == "checkpoint":
            path = material.model("ctc")
            _CONTEXTS[what] = Context(Subject(("checkpoint",), path.name, path))
        else:
            source = training.recipe(material.folder() / "recipe.toml")
            path = training.trained(source, material.folder() / "run", registry_of(()))
            _CONTEXTS[what] = Context(Subject(("run",), path.name, path))
    made: Context = _CONTEXTS[what]
    return made


def _empty(name: str) -> Any:
    path = material.folder() / name
    path.mkdir(exist_ok=True)
    return path
