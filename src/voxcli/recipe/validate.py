"""One table and the class it belongs to in, the component or what is wrong with the table out.

Values are validated as strict JSON (https://docs.pydantic.dev/latest/concepts/strict_mode/): "100" is no number and 1
is no boolean, while an array may become a tuple and a string a path, as TOML has no words for these.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

from voxcli.recipe.problems import Problems
from voxcli.recipe.schema import homes_of
from voxcli.recipe.where import Key, dotted

_EXPECTED = {
    "string_type": "text in quotes",
    "path_type": "a path in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "tuple_type": "an array",
    "list_type": "an array",
    "set_type": "an array",
    "frozen_set_type": "an array",
    "none_required": "nothing",
}


_adapters: dict[type, Any] = {}


def _adapter(cls: type) -> Any:
    if cls not in _adapters:
        from pydantic import TypeAdapter

        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def validate(cls: type, table: Any, at: Key, problems: Problems, *, title: str, complete: bool = True) -> Any | None:
    """Make a component from its table. What is wrong goes to `problems`, and the component is made without it, so that
    the rest can be checked further; None where that cannot be.

    `title` is how messages call the table, "[train]". `complete` is False where missing keys may have been inherited
    from a parent that could not be read. Raises what the class itself raises beyond ValueError.
    """
    from pydantic import ValidationError

    if not isinstance(table, dict):
        problems.add("R006", f"{dotted(at)} is {value(table)}, expected a table", f"write {title}", at)
        return None
    try:
        return _adapter(cls).validate_json(json.dumps(table, default=_not_json), strict=True)
    except ValidationError as error:
        wrong: dict[Key, list[Any]] = {}
        for one in error.errors(include_url=False):
            wrong.setdefault(_existing(one["loc"], table, one["type"]), []).append(one)
        for key, errors in wrong.items():
            if errors[0]["type"] != "missing" or complete:
                _explain(cls, table, at, key, errors, problems, title)
    faulty = {key[0] for key in wrong if key}
    try:
        return _adapter(cls).validate_python({name: found for name, found in table.items() if name not in faulty})
    except ValidationError:
        return None


def defaults(component: Any) -> dict[str, Any]:
    """Every key of a component as TOML can hold it; keys that are None are left out."""
    cls = type(component)
    plain: dict[str, Any] = _adapter(cls).dump_python(component, mode="json", exclude_none=True, exclude=_computed(cls))
    return plain


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema of one component's table. A key that it inherits has the help text of the class it comes from."""
    schema: dict[str, Any] = _adapter(cls).json_schema()
    for base in cls.__mro__[1:]:
        if "__pydantic_config__" in vars(base):  # pydantic reads the strings under the fields of `cls` itself alone
            for name, key in _adapter(base).json_schema().get("properties", {}).items():
                if "description" in key and name in schema["properties"]:
                    schema["properties"][name].setdefault("description", key["description"])
    for name in _computed(cls):
        schema.get("properties", {}).pop(name, None)
    return schema


def _computed(cls: type) -> set[str]:
    """Fields that the class sets itself: they are no keys."""
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return {field.name for field in fields if not field.init}


def value(found: Any) -> str:
    """A value as an error message shows it."""
    if isinstance(found, dict):
        return "a table"
    if isinstance(found, list):
        return "an array" if len(str(found)) > 60 else f"the array {_toml(found)}"
    if isinstance(found, str) and len(found) > 60:
        return f'"{found[:57]}…"'
    return _toml(found)


def _toml(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, default=str)


def _not_json(found: Any) -> str:
    """TOML has dates and times, no component does: they are taken as the text they are written as."""
    return str(found)


def _existing(location: tuple[str | int, ...], table: Any, kind: str) -> Key:
    """The part of pydantic's location that stands in the table; the rest names alternatives of a union."""
    if kind == "missing":
        return location
    at: Any = table
    for length, part in enumerate(location):
        try:
            at = at[part]
        except (KeyError, IndexError, TypeError):
            return location[:length]
    return location


def _explain(
    cls: type, table: Mapping[str, Any], at: Key, key: Key, errors: list[Any], problems: Problems, title: str
) -> None:
    kind, path = errors[0]["type"], (*at, *key)
    known = sorted(field_names(cls))
    help: str | None
    if kind == "unexpected_keyword_argument":
        name = str(key[-1])
        help = Problems.suggestion(name, known)
        if (homes := homes_of(name)) and "did you mean" not in help:
            help = f"it is a key of {homes}"
        problems.add("R005", f"{title} has no key '{name}'", help, path)
    elif kind == "missing" and len(key) == 1:
        problems.add("R007", f"{title} needs the key '{key[0]}'", described(cls, str(key[0])), at)
    elif kind == "missing":
        problems.add("R006", f"{dotted(path[:-1])} has too few values", described(cls, str(key[0])), path[:-1])
    elif kind in ("value_error", "assertion_error"):
        message = errors[0]["msg"].partition(", ")[2]
        problems.add("R006", f"{title if not key else dotted(path)}: {message}", None, path)
    else:
        found = errors[0]["input"]
        expected = " or ".join(dict.fromkeys(_expected(error) for error in errors))
        help = described(cls, str(key[0])) if key else None
        if kind == "literal_error" and isinstance(found, str):
            choices = [choice.strip("' ") for choice in errors[0]["ctx"]["expected"].replace(" or ", ", ").split(",")]
            closest = Problems.suggestion(found, choices).partition("known:")[0].strip()
            help = " ".join(part for part in (closest, help) if part)
        problems.add("R006", f"{dotted(path)} is {value(found)}, expected {expected}", help, path)


def _expected(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return context["expected"].replace("'", '"')
    if kind in ("too_long", "too_short"):
        limit = context.get("max_length", context.get("min_length"))
        return f"{'at most' if kind == 'too_long' else 'at least'} {limit} values"
    return _EXPECTED.get(kind) or error["msg"].partition("should be ")[2] or error["msg"]


def field_names(cls: type) -> tuple[str, ...]:
    """The keys of a component's table."""
    return tuple(name for name in getattr(cls, "__dataclass_fields__", {}) if name in _properties(cls))


def described(cls: type, name: str) -> str | None:
    """`key`: what the component's author says of it, its first sentence."""
    text = _properties(cls).get(name, {}).get("description")
    return f"`{name}`: {' '.join(text.split())}" if text else None


@functools.lru_cache(maxsize=512)  # asked for each key of each wrong table; not to be written to
def _properties(cls: type) -> dict[str, Any]:
    properties: dict[str, Any] = json_schema(cls).get("properties", {})
    return properties
