"""A component's keys: what a recipe may not say is refused, and what it says comes back as it was."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from voxcli.api import Finding
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.documentation import keys
from voxcli.contract.rules import rule
from voxcli.errors import VoxError
from voxcli.recipe.problems import Problems
from voxcli.recipe.render import toml
from voxcli.recipe.validate import defaults, validate

CONFIG = rule(
    "component",
    "no-config",
    "a frozen dataclass whose fields are the keys of its table",
    "@config above the class: from voxcli.api import config",
)
UNKNOWN = rule(
    "component",
    "unknown-key-accepted",
    "an error: a misspelled key would do nothing, and nobody would see it",
    "@config above the class; no `extra` of pydantic's, no **kwargs",
)
WRONG = rule(
    "component",
    "wrong-type-accepted",
    "an error that names the key",
    "annotate the key with its type: int, float, str, bool, Path, a Literal, a tuple of these",
)
ANYTHING = rule(
    "component",
    "any-type-accepted",
    "a type: an editor completes it, and a recipe is checked before it is run",
    "annotate it more closely where that is possible",
    level="note",
)
EXAMPLE = rule(
    "component", "example-refused", "the component takes its example keys", "correct the example, or what refuses it"
)
CHECKS = rule(
    "component",
    "key-check-raises",
    "`findings()` yields what is wrong with the keys, and __post_init__ raises ValueError or VoxError",
    "mend the line that is named",
)
FINDINGS = rule(
    "component",
    "findings",
    "`findings()` yields `voxcli.api.Finding`s",
    "yield Finding(level, message, help, path=(KEY,))",
)
ROUND_TRIP = rule(
    "component",
    "round-trip",
    "a run is made again from its own recipe.toml: table, component, table, component are one",
    "keep in fields what was given; compute what follows from it in methods",
)
EQUAL = rule(
    "component",
    "not-equal",
    "two components of one table are equal",
    "keep what is computed out of the fields, or field(compare=False)",
)
PICKLE = rule(
    "component",
    "not-picklable",
    "it can be pickled: worker processes that do not fork receive it so",
    "no lambdas, locks or open files in fields; the class at module level",
)

KINDS = ("dataset", "augmentation", "model", "backend", "decoder", "exporter")
"""Kinds whose fields are keys that people write."""
WORKERS = ("augmentation", "model", "task")
"""Kinds that worker processes receive."""
STRANGE = "vox_contract_unknown_key"
VALUES: tuple[Any, ...] = ("certainly wrong ✗", 271828.18, True, [[["wrong"]]], {"wrong": {"deeply": []}})
"""Of different types. Every type but `Any` refuses one of them."""


def try_keys(bench: Bench, component: Component) -> None:
    """Make the component of its example keys, and of wrong ones. Sets `component.made` where it can be made."""
    if component.kind not in KINDS:
        _plain(bench, component)
        return
    try_table(bench, component)


def try_table(bench: Bench, component: Component) -> None:
    """The same for a class of any kind whose fields are keys."""
    cls = component.cls
    with bench.trial(component, "keys"):
        if not _is_config(cls):
            bench.remark(component, CONFIG, f"{cls.__name__} is {_what(cls)}")
            if not dataclasses.is_dataclass(cls):
                return
        made, wrong = make(component, component.given)
        if made is None:
            _not_made(bench, component, wrong)
        else:
            component.made = made
        _unknown(bench, component)
        for name, key in keys(cls):
            _wrong_types(bench, component, name, key)
    if component.made is not None:
        with bench.trial(component, "round trip through a recipe"):
            _round_trip(bench, component)
        if component.kind in WORKERS:
            with bench.trial(component, "pickling"):
                _pickled(bench, component)


def make(component: Component, table: Mapping[str, Any]) -> tuple[Any | None, list[str]]:
    """The component of a table, with what a recipe would say of it. Raises what the class raises beyond ValueError."""
    problems = Problems()
    made = validate(component.cls, dict(table), (), problems, title=component.label)
    wrong = [_message(one.message, one.help) for one in problems.errors]
    if made is None or wrong:
        return None, wrong or ["it cannot be made"]
    found = [one for one in getattr(made, "findings", tuple)() if isinstance(one, Finding)]
    wrong = [_message(one.message, one.help) for one in found if one.level == "error"]
    return (None, wrong) if wrong else (made, [])


def with_keys(component: Component, **more: Any) -> Any | None:
    """The component with further example keys; None where it does not take them."""
    try:
        return make(component, {**component.given, **more})[0]
    except VoxError:
        return None


def _plain(bench: Bench, component: Component) -> None:
    """Tasks and checks are made without keys; engines are opened."""
    if component.kind == "engine":
        return
    with bench.trial(component, "made without keys"):
        component.made = component.cls()
        if component.kind in WORKERS:
            _pickled(bench, component)


def _not_made(bench: Bench, component: Component, wrong: list[str]) -> None:
    if component.given:
        bench.remark(component, EXAMPLE, f"{shown(component.given)}: {'; '.join(wrong)}")
        return
    needed = [name for name, key in _required(component.cls)]
    what = f"it needs the key{'s' * (len(needed) > 1)} {', '.join(needed)}" if needed else "; ".join(wrong)
    written = ", ".join(f'"{name}": …' for name in needed) or "…"
    bench.untried(component, what, repair=bench.how_to_give(component, written))


def _unknown(bench: Bench, component: Component) -> None:
    problems = Problems()
    table = {**component.given, STRANGE: 1}
    validate(component.cls, table, (), problems, title=component.label)
    if not any(STRANGE in one.message for one in problems.errors):
        bench.remark(component, UNKNOWN, f"the key {STRANGE} = 1 is taken without a word")


def _wrong_types(bench: Bench, component: Component, name: str, key: Mapping[str, Any]) -> None:
    taken = []
    for value in VALUES:
        problems = Problems()
        try:
            validate(component.cls, {**component.given, name: value}, (), problems, title=component.label)
        except VoxError:
            continue
        except Exception as error:
            bench.remark(component, CHECKS, f"{name} = {shown(value)}: {said(error)}")
            return
        if not any(one.code == "R006" for one in problems.errors):
            taken.append(value)
    if len(taken) == len(VALUES):
        bench.remark(
            component, ANYTHING if _is_any(key) else WRONG, f"{name} takes text, numbers, true and tables alike"
        )


def _round_trip(bench: Bench, component: Component) -> None:
    section = {"dataset": "data", "augmentation": "augment"}.get(component.kind, component.kind)
    made = component.made
    for one in getattr(made, "findings", tuple)():
        if not isinstance(one, Finding):
            bench.remark(component, FINDINGS, f"it yields {type(one).__name__}")
    again, wrong = make(component, component.given)
    if again != made:
        bench.remark(component, EQUAL, f"{made!r:.200} and {again!r:.200} came of one table")
    text = toml({section: {"type": component.registration.name, **defaults(made)}})
    table = tomllib.loads(text)[section]
    table.pop("type", None)
    back, wrong = make(component, table)
    if back is None:
        bench.remark(component, ROUND_TRIP, f"what `vox recipe show` writes of it is refused: {'; '.join(wrong)}")
    elif back != made and again == made:
        bench.remark(component, ROUND_TRIP, _difference(made, back))


def _difference(made: Any, back: Any) -> str:
    for field in dataclasses.fields(made):
        before, after = getattr(made, field.name), getattr(back, field.name)
        if before != after:
            return f"{field.name} was {shown(before)} and comes back as {shown(after)}"
    return f"{made!r:.200} comes back as {back!r:.200}"


def _pickled(bench: Bench, component: Component) -> None:
    try:
        back = pickle.loads(pickle.dumps(component.made))
    except Exception as error:  # pickle raises whatever it likes
        bench.remark(component, PICKLE, said(error))
        return
    if dataclasses.is_dataclass(component.made) and back != component.made:
        bench.remark(component, PICKLE, f"{component.made!r:.200} comes back as {back!r:.200}")


def _required(cls: Any) -> Iterator[tuple[str, Any]]:
    missing = dataclasses.MISSING
    for field in dataclasses.fields(cls):
        if field.init and field.default is missing and field.default_factory is missing:
            yield field.name, field


def _is_config(cls: Any) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def _what(cls: Any) -> str:
    return "a dataclass that can be changed" if dataclasses.is_dataclass(cls) else "an ordinary class"


def _is_any(key: Mapping[str, Any]) -> bool:
    return not set(key) - {"title", "description", "default"}


def _message(message: str, help: str | None) -> str:
    return f"{message} ({help})" if help else message


def shown(value: Any) -> str:
    """A value in an error message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 120 else f"{text[:117]}…"
