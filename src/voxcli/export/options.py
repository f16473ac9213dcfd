"""`KEY=VALUE` of the command line and an exporter's class -> the exporter. Values are TOML; a bare word is text."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from voxcli.api import Exporter
from voxcli.errors import UsageError
from voxcli.recipe.problems import Problems
from voxcli.recipe.validate import validate


def configured(cls: Any, name: str, arguments: Sequence[str]) -> Exporter:
    """Make an exporter. Raises `UsageError` for keys that it does not have and for values of a wrong type."""
    table: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key.strip().isidentifier():
            raise UsageError(
                f"'{argument}' is no option of an exporter", help="write KEY=VALUE, for example dtype=float16"
            )
        table[key.strip()] = _value(value.strip())
    problems = Problems()
    made: Exporter | None = validate(cls, table, (), problems, title=f"the exporter '{name}'")
    if problems.findings or made is None:
        first = problems.findings[0]
        raise UsageError(first.message, help=first.help)
    return made


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
