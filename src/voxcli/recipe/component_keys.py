"""The class of a component in, what a person may write in its table out: keys, their values, defaults and help."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from voxcli.recipe.render import value_text
from voxcli.recipe.validate import json_schema

WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true, false", "object": "table"}


@dataclasses.dataclass(frozen=True)
class ComponentKey:
    """One key of a table."""

    name: str
    values: str
    """What it may be, in words: "[number, number]"."""
    default: str | None
    """As TOML; None where there is none."""
    required: bool
    help: str


def keys_of(cls: Any) -> list[ComponentKey]:
    """The keys in the order of the class; none where it takes none. Raises what the class makes pydantic raise."""
    if not dataclasses.is_dataclass(cls) or not hasattr(cls, "__pydantic_config__"):
        return []
    properties: dict[str, dict[str, Any]] = json_schema(cls).get("properties", {})  # type: ignore[arg-type]
    definitions: dict[str, Any] = json_schema(cls).get("$defs", {})  # type: ignore[arg-type]
    missing = dataclasses.MISSING
    found = []
    for one in dataclasses.fields(cls):
        if one.name not in properties:
            continue
        key = properties[one.name]
        default = key.get("default")
        found.append(
            ComponentKey(
                one.name,
                _values(key, definitions),
                None if default is None else value_text(default),
                one.default is missing and one.default_factory is missing,
                " ".join(str(key.get("description", "")).split()),
            )
        )
    return found


def about(cls: type) -> str:
    """What the class says of itself: its first paragraph, on one line. "" where it says nothing."""
    text = inspect.getdoc(cls) or ""
    if dataclasses.is_dataclass(cls) and text.startswith(f"{cls.__name__}("):  # made by `dataclass`, not written
        return ""
    return " ".join(text.split("\n\n")[0].split())


def _values(key: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "enum" in key:
        return ", ".join(value_text(choice) for choice in key["enum"])
    if "const" in key:
        return value_text(key["const"])
    if "$ref" in key:
        return _values(definitions.get(key["$ref"].rpartition("/")[2], {}), definitions)
    if "anyOf" in key:
        choices = [_values(choice, definitions) for choice in key["anyOf"] if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(choices))
    if "prefixItems" in key:
        return f"[{', '.join(_values(one, definitions) for one in key['prefixItems'])}]"
    if key.get("type") == "array":
        return f"list of {_values(key.get('items', {}), definitions)}"
    if key.get("format") == "path":
        return "path"
    return WORDS.get(key.get("type", ""), "any")
