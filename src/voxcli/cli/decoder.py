"""`--decoder NAME` and `--decoder KEY=VALUE`: how a command reads the frames of a CTC model."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.errors import UsageError
from voxcli.plugins.manager import manager

if TYPE_CHECKING:
    from voxcli.api import Decoding

Decoder = Annotated[
    list[str] | None,
    typer.Option(
        "--decoder",
        metavar="NAME | KEY=VALUE",
        help="CTC: greedy, beam, or a plugin's; and its keys: --decoder lm --decoder path=words.arpa.",
        show_default=False,
    ),
]


def check(given: Sequence[str] | None) -> None:
    """Before anything is loaded: raise `UsageError` for two names, and `PluginError` for one that nobody has."""
    if name := _name(given or ()):
        manager().registry.find("decoder", name)


def with_decoder(decoding: Decoding, given: Sequence[str] | None) -> Decoding:
    """A checkpoint's decoding with the decoder of the command line: another one by its name, or other keys.

    Raises `UsageError` for two names, and for keys where there is no decoder to have them.
    """
    if not given:
        return decoding
    name = _name(given)
    table: dict[str, Any] = {"type": name} if name else dict(decoding.decoder or {})
    if not table:
        raise UsageError(
            f"--decoder {given[0]}: the checkpoint decodes greedily, which has no keys",
            help=f"name the decoder too: --decoder beam --decoder {given[0]}",
        )
    for one in given:
        key, equals, text = one.partition("=")
        if equals:
            table[key.strip()] = _value(text)
    return dataclasses.replace(decoding, decoder=None if table == {"type": "greedy"} else table)


def _name(given: Sequence[str]) -> str | None:
    names = [one for one in given if "=" not in one]
    if len(names) > 1:
        raise UsageError(f"--decoder names {' and '.join(names)}", help="choose one")
    return names[0] if names else None


def _value(text: str) -> Any:
    """TOML; a word that is none is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
