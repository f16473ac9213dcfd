"""Findings and resolved tables in, the text a person reads out: errors with their source line, TOML with origins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voxcli.api import Finding
from voxcli.recipe.where import Key, Place, bare, nearest

WIDEST_LINE = 160  # characters of a source line that are shown
COLUMN = 40  # where the comments of resolved tables begin


def findings(found: Sequence[Finding], places: Mapping[Key, Place]) -> str:
    """Every finding with its place, its source line and its repair, in the order given."""
    return "\n\n".join("\n".join(_finding(one, nearest(places, one.path))) for one in found)


def _finding(finding: Finding, place: Place | None) -> Iterator[str]:
    code = f"[{finding.code}]" if finding.code else ""
    yield f"{finding.level}{code}: {finding.message}"
    if place is not None:
        yield from source(place)
    if finding.help:
        yield f"   = help: {finding.help}"


def source(place: Place) -> Iterator[str]:
    """Where something was set, and the source line."""
    yield f"  --> {place}"
    if place.text:
        text = place.text if len(place.text) <= WIDEST_LINE else place.text[: WIDEST_LINE - 1] + "…"
        yield f"{place.line or '':>4} | {text}"


def findings_json(found: Sequence[Finding], places: Mapping[Key, Place]) -> list[dict[str, Any]]:
    """The same for a script."""
    rows = []
    for one in found:
        place = nearest(places, one.path)
        row = {"level": one.level, "code": one.code, "message": one.message, "help": one.help, "path": list(one.path)}
        rows.append({**row, "file": place.name if place else None, "line": place.line if place else None})
    return rows


def toml(tables: Mapping[str, Any], places: Mapping[Key, Place] | None = None) -> str:
    """Resolved tables as TOML that reads back. With `places`, each line says where its value was set."""
    rows = list(_table(tables, (), places))
    while rows and rows[0] == ("", ""):
        rows.pop(0)
    if places is None:
        return "\n".join(left for left, _ in rows) + "\n"
    return "\n".join(f"{left:<{COLUMN}} # {right}" if right else left for left, right in rows) + "\n"


def _table(table: Mapping[str, Any], at: Key, places: Mapping[Key, Place] | None) -> Iterator[tuple[str, str]]:
    """(line, its comment): the values of a table first, then the tables in it, as TOML wants it."""
    inner = []
    for name, found in table.items():
        key = (*at, name)
        if (isinstance(found, dict) and (found or not at)) or _is_list_of_tables(found):
            inner.append((name, found, key))
        elif found is not None:
            yield f"{_key(name)} = {value_text(found)}", _origin(key, places)
    for _, found, key in inner:
        header = ".".join(_key(part) for part in key if isinstance(part, str))
        if isinstance(found, dict):
            yield "", ""
            yield f"[{header}]", ""
            yield from _table(found, key, places)
        else:
            for index, element in enumerate(found):
                yield "", ""
                yield f"[[{header}]]", ""
                yield from _table(element, (*key, index), places)


def _is_list_of_tables(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(one, dict) for one in found)


def _key(name: str) -> str:
    return name if bare(name) else _text(name)


def _text(found: str) -> str:
    return json.dumps(found, ensure_ascii=False).replace("\x7f", "\\u007f")  # DEL: JSON lets it stand, TOML does not


def value_text(found: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(found, str):
        return _text(found)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float):
        return repr(found)  # also inf and nan, which TOML writes alike
    if isinstance(found, dict):
        inside = ", ".join(f"{_key(name)} = {value_text(inner)}" for name, inner in found.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(found, list | tuple):
        return "[" + ", ".join(value_text(inner) for inner in found) + "]"
    return str(found)


def _origin(key: Key, places: Mapping[Key, Place] | None) -> str:
    if places is None:
        return ""
    place = places.get(key)
    return "default" if place is None else str(place)
