"""Arguments of the command line in, changed tables out: `train.max_steps=100`, `augment.0.p=0.2`, `~quantization`.

The value is TOML; a word that is no TOML is text, so that `model.checkpoint=runs/a` needs no quotes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxcli.recipe.problems import Problems
from voxcli.recipe.where import Key, Place, dotted, keys

if TYPE_CHECKING:
    from voxcli.recipe.load import Tables

FORMS = "`section.key=value`, `section.0.key=value` or `~section.key`"


def take_extends(arguments: Sequence[str], problems: Problems) -> tuple[str | None, list[str]]:
    """Split off `extends=NAME`, which decides the parent before anything is merged."""
    asked, rest = None, []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name.strip() == "extends" and equals:
            try:
                asked = str(_value(value))
            except tomllib.TOMLDecodeError as error:
                _not_toml(argument, error, problems)
        else:
            rest.append(argument)
    return asked, rest


def apply(tables: Tables, argument: str, problems: Problems) -> None:
    """Change `tables` as one argument says; what cannot be done becomes a finding (R008)."""
    place = Place("command line", text=argument)
    if argument.startswith("~"):
        _remove(tables, argument[1:], place, problems)
        return
    name, equals, text = argument.partition("=")
    if not equals:
        hint = "is it a path? only one recipe can be given" if "/" in name or name.endswith(".toml") else FORMS
        problems.add("R008", f"'{argument}' is no override", hint, ("", argument), place=place)
        return
    try:
        value = _value(text)
    except tomllib.TOMLDecodeError as error:
        _not_toml(argument, error, problems)
        return
    key = parse_key(name.strip(), tables.values)
    if message := _set(tables, key, value):
        problems.add("R008", message, _known_keys(tables, dotted(key)), ("", argument), place=place)
        return
    for length in range(1, len(key)):
        tables.places.setdefault(key[:length], place)  # tables that this argument opens
    tables.places.update({key: place, **dict.fromkeys(keys(value, key), place)})


def _not_toml(argument: str, error: tomllib.TOMLDecodeError, problems: Problems) -> None:
    place = Place("command line", text=argument)
    help = "text in quotes, or a bare word; quotes have to reach vox: 'key=\"a b\"'"
    problems.add("R008", f"the value of '{argument}' is not TOML: {error}", help, ("", argument), place=place)


def parse_key(name: str, values: Any) -> Key:
    """`augment.0."a.b"` -> ("augment", 0, "a.b"). Digits are an index where `values` holds an array there."""
    try:
        parsed: Any = tomllib.loads(f"{name} = 0")
    except tomllib.TOMLDecodeError:
        return tuple(name.split("."))
    key: Key = ()
    while isinstance(parsed, dict) and len(parsed) == 1:
        part, parsed = next(iter(parsed.items()))
        index = isinstance(values, list) and part.isdigit()
        key += (int(part) if index else part,)
        try:
            values = values[key[-1]]
        except (KeyError, IndexError, TypeError):
            values = None
    return key


def _value(text: str) -> Any:
    text = text.strip()
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        if text[:1] in tuple("[{\"'"):
            raise
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def _set(tables: Tables, key: Key, value: Any) -> str | None:
    """Set a key; why it cannot be set, or None."""
    at: Any = tables.values
    for length, part in enumerate(key[:-1]):
        before = dotted(key[:length])
        if isinstance(at, dict):
            at = at.setdefault(part, {}) if isinstance(part, str) else None
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
        elif isinstance(at, list):
            return f"{before} has {len(at)} entries, and no '{part}': they are counted from 0"
        if not isinstance(at, dict | list):
            return f"{dotted(key[: length + 1])} is a value, not a table"
    if isinstance(at, list):
        if not isinstance(key[-1], int) or key[-1] >= len(at):
            return f"{dotted(key[:-1])} has {len(at)} entries, and no '{key[-1]}': they are counted from 0"
        tables.places = {old: place for old, place in tables.places.items() if old[: len(key)] != key}
        at[key[-1]] = value
        return None
    if key[-1] in at:
        tables.drop(key)
    at[key[-1]] = value
    return None


def _remove(tables: Tables, name: str, place: Place, problems: Problems) -> None:
    key = parse_key(name, tables.values)
    if key in set(keys(tables.values)):
        tables.drop(key)
        if isinstance(key[-1], int):
            _close_gap(tables, key)
        return
    problems.add(
        "R008", f"~{name} removes a key that is not set", _known_keys(tables, name), ("", f"~{name}"), place=place
    )


def _close_gap(tables: Tables, removed: Key) -> None:
    """Move the places of the later elements of an array one down."""
    length, index = len(removed) - 1, removed[-1]
    moved = {}
    for key, place in tables.places.items():
        inside = len(key) > length and key[:length] == removed[:-1] and isinstance(key[length], int)
        if inside and key[length] > index:  # type: ignore[operator]
            key = (*key[:length], key[length] - 1, *key[length + 1 :])  # type: ignore[operator]
        moved[key] = place
    tables.places = moved


def _known_keys(tables: Tables, name: str) -> str:
    return Problems.suggestion(name, [dotted(key) for key in keys(tables.values)], limit=8) or FORMS
