"""An entry of log.jsonl -> names and numbers; a recipe's tables -> names and values. Names do not change.

{"step": 3, "loss": 2.5, "learning_rate": 1e-4}              train/loss, train/learning_rate
{"step": 3, "validation": {"wer": 0.4}, "texts": {...}}      validation/wer, texts/empty
{"step": 3, "memory": {"measured": {"process": 5e8}}}        memory/measured/process
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vox_trackers.masks import value_of

_TABLES = ("validation", "texts", "memory")


def figures(entry: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an entry of log.jsonl. Beginnings, ends and incidents have none: they are the log's to tell."""
    found: dict[str, float] = {}
    for table in _TABLES:
        if isinstance(entry.get(table), Mapping):
            found |= dict(_numbers(entry[table], table))
    if "loss" in entry and "incident" not in entry:
        found |= dict(_numbers({key: value for key, value in entry.items() if key != "step"}, "train"))
    return found


def _numbers(table: Mapping[str, Any], at: str) -> Iterator[tuple[str, float]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{at}/{key}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{at}/{key}", float(value)


def flat(tables: Any, at: str = "") -> dict[str, bool | int | float | str]:
    """{"train": {"max_steps": 4}, "data": [{...}]} -> {"train.max_steps": 4, "data.0.…": …}; short lists as text.

    Secrets are masked, and the variables of processes (`env_vars`) left out.
    """
    found: dict[str, bool | int | float | str] = {}
    if isinstance(tables, Mapping):
        for key, inner in tables.items():
            if key == "env_vars":
                continue
            found |= flat(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(tables, list) and any(isinstance(one, Mapping) for one in tables):
        for number, inner in enumerate(tables):
            found |= flat(inner, f"{at}.{number}")
    elif isinstance(tables, bool | int | float | str):
        found[at] = value_of(at, tables)
    elif tables:
        found[at] = value_of(at, ", ".join(map(str, tables)) if isinstance(tables, list) else str(tables))
    return found
