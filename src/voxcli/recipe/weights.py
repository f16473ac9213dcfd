"""`weight`, a key of every [[data]] table beside its `type`: how often an epoch takes from the data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from voxcli.recipe.problems import Problems
from voxcli.recipe.validate import value
from voxcli.recipe.where import Key, dotted

WEIGHT = "weight"
SCHEMA = {
    "type": "number",
    "exclusiveMinimum": 0,
    "default": 1.0,
    "description": "How often training takes from this data set, compared with the others: an epoch takes all of the "
    "one with the largest weight, and of one with a third of it a third, another one each time.",
}
"""The key as it stands in the JSON schema of each data set."""


def check_weight(table: Mapping[str, Any], at: Key, problems: Problems) -> None:
    """A finding where the weight of a table is no number above 0."""
    if WEIGHT not in table:
        return
    found = table[WEIGHT]
    if isinstance(found, bool) or not isinstance(found, int | float):
        problems.add("R006", f"{dotted((*at, WEIGHT))} is {value(found)}, expected a number", None, (*at, WEIGHT))
    elif not (math.isfinite(found) and found > 0):
        help = "leave the table out, where nothing of it is to be taken"
        problems.add("R006", f"{dotted((*at, WEIGHT))} is {found}, expected more than 0", help, (*at, WEIGHT))


def weights_of(tables: Sequence[Any]) -> tuple[float, ...]:
    """The weight of each table, 1 where none is set."""
    return tuple(float(table.get(WEIGHT, 1.0)) if isinstance(table, dict) else 1.0 for table in tables)
