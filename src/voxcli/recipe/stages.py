"""`[[stage]]` tables in, a recipe for each stage out: the rest of the recipe with what the stage says otherwise.

Each is resolved as a recipe of its own, so that every check of a recipe is a check of a stage. What is found in all of
them is said once; what is found in one alone, with its name and at the lines of its table.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from voxcli.api import Finding
from voxcli.errors import RecipeError
from voxcli.recipe import overrides
from voxcli.recipe.load import Tables
from voxcli.recipe.problems import Problems
from voxcli.recipe.recipe import Recipe, Stage
from voxcli.recipe.schema import STAGED
from voxcli.recipe.schema import Stage as Keys
from voxcli.recipe.validate import defaults, field_names, validate, value
from voxcli.recipe.where import Key, Place, dotted, keys

SECTION = "stage"
_SAME_MODEL = ("type", "checkpoint", "architecture")  # of [model]: a stage goes on with the model that there is


class Resolution(Protocol):
    """One recipe on its way from tables to components."""

    def recipe(self) -> Recipe:
        """The resolved recipe. Raises `RecipeError` with every finding."""


@dataclass
class _Part:
    """One stage on its way."""

    index: int
    keys: Keys
    name: str
    tables: Tables
    said: dict[Key, Key]
    """Key as the stage's recipe has it -> where it stands."""
    recipe: Recipe | None = None
    findings: tuple[Finding, ...] = ()


def resolved(tables: Tables, problems: Problems, resolution: Callable[[Tables, Problems], Resolution]) -> Recipe | None:
    """The recipe of a run in stages; None where `problems` holds errors. `resolution` resolves one stage's tables."""
    given = tables.values[SECTION]
    rest = Tables({name: inner for name, inner in tables.values.items() if name != SECTION}, {}, tables.complete)
    rest.places = {key: place for key, place in tables.places.items() if key[:1] != (SECTION,)}
    parts = []
    if isinstance(given, list) and given:
        parts = [part for index in range(len(given)) if (part := _part(given[index], index, rest, tables, problems))]
        _names(parts, problems)
    else:
        found = value(given) if given else "empty"
        problems.add("R020", f"stage is {found}, expected tables", "write [[stage]], one for each part", (SECTION,))
    for part in parts:
        own = Problems(problems.missing)
        try:
            part.recipe = resolution(part.tables, own).recipe()
        except RecipeError as error:
            own.places.update(error.places)
        part.findings = tuple(own.findings)
        if part.recipe is not None:
            _gate(part, problems)
    _tell(parts, problems)
    if problems.errors or not parts:
        return None
    stages = tuple(Stage(one.name, one.recipe, one.keys.gate, one.keys.hand_over) for one in parts if one.recipe)
    last = stages[-1].recipe
    return replace(
        last,
        tables=_whole(parts, rest.values),
        stages=stages,
        warnings=tuple(problems.findings),
        places=tables.places,
    )


def _part(table: Any, index: int, rest: Tables, tables: Tables, problems: Problems) -> _Part | None:
    at: Key = (SECTION, index)
    if not isinstance(table, dict):
        problems.add("R020", f"{dotted(at)} is {value(table)}, expected a table", "write [[stage]]", at)
        return None
    own = {name: inner for name, inner in table.items() if name in field_names(Keys)}
    made = validate(Keys, own, at, problems, title="[[stage]]")
    said = {name: inner for name, inner in table.items() if name not in own}
    for name in [name for name in said if name not in STAGED]:
        what = f"[[stage]] has no key '{name}'" if not isinstance(said[name], dict | list) else f"a stage has no {name}"
        help = f"{Problems.suggestion(name, (*field_names(Keys), *STAGED))}; what all share stands above"
        problems.add("R020", what, help, (*at, name))
        del said[name]
    found = said.get("model")
    model: dict[str, Any] = found if isinstance(found, dict) else {}
    for name in _SAME_MODEL:
        if name in model and model[name] != rest.values.get("model", {}).get(name):
            message = f"a stage has no model.{name} of its own: it goes on with the model of the stage before"
            problems.add("R020", message, "move it to [model]", (*at, "model", name))
    if made is None:
        return None
    whole = Tables(copy.deepcopy(rest.values), dict(rest.places), rest.complete)
    for name in made.unset:
        key = overrides.parse_key(name, whole.values)
        if key in set(keys(whole.values)):
            whole.drop(key)
        else:
            problems.add("R020", f"unset names '{name}', which the recipe does not set", None, (*at, "unset"))
    places: dict[Key, Place] = {
        key[2:]: place for key, place in tables.places.items() if key[:2] == at and key[2:3] and key[2] in said
    }
    whole.merge(Tables(copy.deepcopy(said), places))
    name = made.name if made.name is not None else "stage"
    return _Part(index, made, name, whole, {key: (*at, *key) for key in keys(said)})


def _names(parts: list[_Part], problems: Problems) -> None:
    for part in parts:
        name = part.name
        if not name.strip(" .") or set(name) & set("/\\:\0\n"):
            message, help = f"name is {value(name)}, expected a file name", "letters, digits, '-' and '_'"
            problems.add("R020", message, help, (SECTION, part.index, "name"))


def _gate(part: _Part, problems: Problems) -> None:
    gate, at = part.keys.gate, (SECTION, part.index, "gate")
    if gate is None or part.recipe is None:
        return
    if (gate.at_most is None) == (gate.at_least is None):
        message = "the gate says neither at_most nor at_least" if gate.at_most is None else "the gate has two aims"
        problems.add("R020", message, 'gate = { metric = "cer", at_most = 0.5 }', at)
    evaluate, task = part.recipe.evaluate, part.recipe.task
    known = (*(evaluate.metrics or task.metrics), *getattr(task, "figures", ()), "loss")
    if gate.metric not in known:
        message = f"the gate looks at '{gate.metric}', which is not measured"
        problems.add("R020", message, Problems.suggestion(gate.metric, known), (*at, "metric"))


def _tell(parts: list[_Part], problems: Problems) -> None:
    """What the stages' recipes have found, each thing once."""
    for part in parts:
        for finding in part.findings:
            if any(_same(finding, before) for before in problems.findings):
                continue
            own = part.said.get(_innermost(finding.path, part.tables))
            everywhere = own is None and all(any(_same(finding, one) for one in other.findings) for other in parts)
            if everywhere:
                problems.findings.append(finding)
                continue
            path = (*own, *finding.path[len(own) - 2 :]) if own is not None else finding.path
            problems.findings.append(replace(finding, message=f"{_called(part)}: {finding.message}", path=path))


def _innermost(path: Key, tables: Tables) -> Key:
    """The longest part of a path that the tables have."""
    known = set(keys(tables.values))
    return next((path[:length] for length in range(len(path), 0, -1) if path[:length] in known), ())


def _same(one: Finding, other: Finding) -> bool:
    return (one.code, one.message, one.path) == (other.code, other.message, other.path)


def _called(part: _Part) -> str:
    return f"stage {part.index + 1} '{part.name}'"


def _whole(parts: list[_Part], rest: Mapping[str, Any]) -> dict[str, Any]:
    """All tables of the recipe: every key with the value that it has where no stage says otherwise, then the stages."""
    made = [part.recipe.tables for part in parts if part.recipe is not None]
    first = made[0]
    whole: dict[str, Any] = {"name": first["name"], "seed": first["seed"]}
    for section in dict.fromkeys(name for tables in made for name in tables):
        if section in whole:
            continue
        plain = [tables for part, tables in zip(parts, made, strict=True) if not _says(part, (section,))]
        if plain and section in plain[0]:
            whole[section] = plain[0][section]
        elif not plain and isinstance(first.get(section), dict):
            whole[section] = {**rest.get(section, {}), **_untold(parts, made, section)}
    whole[SECTION] = [_own(part, tables) for part, tables in zip(parts, made, strict=True)]
    plain_tables: dict[str, Any] = json.loads(json.dumps(whole))
    return plain_tables


def _untold(parts: list[_Part], made: list[dict[str, Any]], section: str) -> dict[str, Any]:
    """A section of which every stage says something: each key from a stage that does not say it."""
    found: dict[str, Any] = {}
    for part, tables in zip(parts, made, strict=True):
        for key, inner in tables.get(section, {}).items():
            if not _says(part, (section, key)):
                found.setdefault(key, inner)
    return found


def _own(part: _Part, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The table of a stage: its own keys, and what it says otherwise, as it was resolved."""
    own: dict[str, Any] = {**defaults(part.keys), "name": part.name}
    if not own.get("unset"):
        own.pop("unset", None)
    for section in STAGED:
        if (section,) not in part.said:
            continue
        if not isinstance(tables.get(section), dict):
            own[section] = tables.get(section, [])
        else:
            own[section] = {key: one for key, one in tables[section].items() if (section, key) in part.said}
    return own


def _says(part: _Part, key: Key) -> bool:
    """Whether a stage says something of a key, or drops it."""
    return key in part.said or any(
        name == dotted(key) or name.startswith(f"{dotted(key)}.") for name in part.keys.unset
    )
