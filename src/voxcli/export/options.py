"""`KEY=VALUE` of the command line and a class of keys -> its instance. Values are TOML; a bare word is text."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from voxcli.errors import UsageError
from voxcli.recipe.problems import Problems
from voxcli.recipe.validate import validate


def configured(cls: Any, name: str, arguments: Sequence[str], *, kind: str = "exporter") -> Any:
    """Make an exporter, or the options of an engine, whose name is `name`.

    Raises `UsageError` for keys that it does not have, with close matches, and for values of a wrong type.
    """
    article = "an" if kind[0] in "aeiou" else "a"
    table: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key.strip().isidentifier():
            example = "dtype=float16" if kind == "exporter" else "cpu_threads=4"
            raise UsageError(
                f"'{argument}' is no option of {article} {kind}", help=f"write KEY=VALUE, for example {example}"
            )
        table[key.strip()] = _value(value.strip())
    problems = Problems()
    made = validate(cls, table, (), problems, title=f"the {kind} '{name}'")
    if problems.findings or made is None:
        first = problems.findings[0]
        raise UsageError(first.message, help=first.help)
    return made


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
