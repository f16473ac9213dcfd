"""The installed plugins in, the JSON Schema (draft 2020-12) of recipes out, for completion and hover in editors.

A list section takes exactly one of its components by the constant `type`. The other component sections may inherit
their `type` and any other key by `extends`, so nothing is required there and `anyOf` stands for `oneOf`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voxcli.errors import PluginError
from voxcli.recipe.schema import COMPONENT_SECTIONS, CORE, LISTS, SECTIONS, STAGED, Stage
from voxcli.recipe.validate import json_schema
from voxcli.recipe.weights import SCHEMA, WEIGHT

if TYPE_CHECKING:
    from voxcli.plugins.registry import Registration, Registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TOP = {
    "name": {"type": "string", "description": "Names the folder runs/NAME; the file's name where it is not set."},
    "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "Decides everything that is drawn."},
    "extends": {"type": "string", "description": "One parent: the name of a preset, or a path beside this file."},
    "unset": {
        "type": "array",
        "items": {"type": "string"},
        "description": 'Inherited keys that are dropped, for example ["adapter", "train.batch_duration"].',
    },
}


def schema(registry: Registry) -> dict[str, Any]:
    """The whole schema. Components that cannot be imported are left out."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = dict(_TOP)
    for section in SECTIONS:
        if section in CORE:
            made = {**_table(CORE[section]), "description": _about(CORE[section])}
            made.pop("required", None)
            properties[section] = _lifted(made, definitions)
        else:
            properties[section] = _choice(section, registry, definitions)
    properties["stage"] = _stage(properties, definitions)
    return {
        "$schema": DIALECT,
        "title": "voxcli recipe",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions,
    }


def _stage(sections: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A list of stages: their own keys, and the sections that they may say otherwise."""
    made = _lifted(_table(Stage), definitions)
    made["properties"] |= {name: sections[name] for name in STAGED}
    return {"type": "array", "items": made, "description": _about(Stage)}


def _choice(section: str, registry: Registry, definitions: dict[str, Any]) -> dict[str, Any]:
    kind = COMPONENT_SECTIONS[section]
    references = []
    for name, registration in _offers(registry, kind):
        try:
            cls = registry.load(kind, name)
        except PluginError:
            continue
        made = _lifted(_table(cls), definitions)
        choice = {"const": name, "description": registration.summary or _about(cls)}
        core = {WEIGHT: SCHEMA} if section == "data" else {}
        made["properties"] = {"type": choice, **core, **made["properties"]}
        made["description"] = _about(cls)
        if section in LISTS:
            made["required"] = ["type", *made.get("required", [])]
        else:
            made.pop("required", None)
        key = f"{kind}.{name.replace('/', '.')}"  # a slash would part the reference
        definitions[key] = made
        references.append({"$ref": f"#/$defs/{key}"})
    if section in LISTS:
        items = {"oneOf": references} if references else {"type": "object"}
        return {"type": "array", "items": items, "description": f"Written [[{section}]]: one table for each {kind}."}
    return {"anyOf": references, "description": f"The {kind}."} if references else {"type": "object"}


def _offers(registry: Registry, kind: str) -> Iterator[tuple[str, Registration]]:
    """(name as a recipe writes it, registration): "distribution/name" where the bare name is another's, or nobody's."""
    for one in registry:
        if one.kind == kind:
            yield registry.called(one), one


def _table(cls: type) -> dict[str, Any]:
    """A component's schema, without the titles that pydantic makes of names and the null that TOML cannot write."""
    made = json_schema(cls)
    made.pop("title", None)
    made.setdefault("properties", {})
    made["properties"] = {name: _plain(one) for name, one in made["properties"].items()}
    return made


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    one = {key: inner for key, inner in one.items() if key != "title"}
    if one.get("default", 0) is None:
        del one["default"]
    choices = [choice for choice in one.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del one["anyOf"]
        one = {**choices[0], **one}
    elif choices:
        one["anyOf"] = choices
    if "description" in one:
        one["description"] = " ".join(one["description"].split())
    return one


def _lifted(made: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions of nested classes to the top, where their references point."""
    definitions.update(made.pop("$defs", {}))
    return made


def _about(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or cls.__name__).split("\n\n")[0].split())
