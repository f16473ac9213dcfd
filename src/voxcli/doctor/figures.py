"""A check -> the figures that it compares with, each with its value and its source, from `checks.thresholds`.

Read from the syntax trees: a check's own imports and the names in its docstring say which.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from voxcli.doctor.checks import thresholds

LONGEST_VALUE = 60  # characters; tables of languages are named and not printed
_NAME = re.compile(r"\b[A-Z][A-Z_]{2,}\b")


@dataclass(frozen=True)
class Figure:
    """One assignment of the table."""

    names: tuple[str, ...]
    value: str
    source: str
    """What it is, its unit, and where it comes from."""

    def __str__(self) -> str:
        return f"{', '.join(self.names)}{f' = {self.value}' if self.value else ''}: {self.source}"


def figures(check: type) -> list[Figure]:
    """What a check of voxcli compares with, in the order of the table; nothing for those of plugins."""
    path = inspect.getsourcefile(check)
    if path is None or not check.__module__.startswith("voxcli."):
        return []
    wanted = set(_NAME.findall(inspect.getdoc(check) or ""))
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == thresholds.__name__:
            wanted.update(alias.name for alias in node.names)
    return [one for one in _table() if wanted & set(one.names)]


@functools.cache
def _table() -> tuple[Figure, ...]:
    found = []
    tree = ast.parse(Path(str(thresholds.__file__)).read_text(encoding="utf-8")).body
    for assigned, said in itertools.pairwise(tree):
        if not isinstance(assigned, ast.Assign) or not isinstance(said, ast.Expr):
            continue
        if not isinstance(said.value, ast.Constant) or not isinstance(said.value.value, str):
            continue
        names = tuple(node.id for node in ast.walk(assigned.targets[0]) if isinstance(node, ast.Name))
        value = ast.unparse(assigned.value).strip("()")
        source = " ".join(said.value.value.split())
        found.append(Figure(names, value if len(value) <= LONGEST_VALUE else "", source))
    return tuple(found)
