"""Plugins -> functions that were meant to be hooks and never will be: misspelled, not marked, or with other arguments.

What `vox plugins list` and `vox doctor` say about them is written here.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from voxcli.plugins import hooks

if TYPE_CHECKING:
    from voxcli.plugins.manager import Plugin

PREFIX = "vox_"
ALIKE = 0.8  # difflib's ratio: vox_registr and vox_on_run_end are near a hook, vox_version is not


@dataclass(frozen=True)
class Misfit:
    """One function of a plugin."""

    plugin: Plugin
    attribute: str
    message: str
    help: str
    broken: bool = False
    """Whether the whole plugin is refused for it."""


def misfits(plugins: Iterable[Plugin]) -> Iterator[Misfit]:
    """The misfits of every plugin that could be imported."""
    known = {name: list(inspect.signature(getattr(hooks, name)).parameters) for name in dir(hooks) if _is_name(name)}
    for plugin in plugins:
        if plugin.module is None:
            continue
        for name in sorted(name for name in dir(plugin.module)):
            found = getattr(plugin.module, name, None)
            if hasattr(found, f"{hooks.PROJECT}_impl"):
                yield from _marked(plugin, name, found, known)
            elif _is_name(name) and _own(plugin.module, found):
                yield from _unmarked(plugin, name, known)


def _marked(plugin: Plugin, name: str, function: Any, known: dict[str, list[str]]) -> Iterator[Misfit]:
    if name not in known:
        message = f"plugin {plugin.name} implements '{name}', which is no hook of voxcli"
        yield Misfit(plugin, name, message, f"{_suggestion(name, known)}hooks: {', '.join(known)}")
        return
    unknown = [argument for argument in _arguments(function) if argument not in known[name]]
    if unknown:
        asked = " and ".join(f"'{argument}'" for argument in unknown)
        message = f"plugin {plugin.name}: '{name}' takes {asked}, which the hook does not have"
        yield Misfit(plugin, name, message, f"{name}({', '.join(known[name])}): any of these, by these names", True)


def _unmarked(plugin: Plugin, name: str, known: dict[str, list[str]]) -> Iterator[Misfit]:
    """`vox_register` works without the mark; a helper that resembles a hook the plugin has is a helper."""
    close = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), None)
    if name in known and name != "vox_register":
        message = f"plugin {plugin.name}: '{name}' is not marked with @hookimpl and is never called"
        yield Misfit(plugin, name, message, "write @hookimpl above it: from voxcli.api import hookimpl")
    elif name not in known and close is not None and not hasattr(plugin.module, close):
        message = f"plugin {plugin.name}: '{name}' is no hook of voxcli and is never called"
        yield Misfit(plugin, name, message, f"did you mean `{close}`? hooks are marked with @hookimpl")


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`? " if close else ""


def _is_name(name: str) -> bool:
    return name.startswith(PREFIX)


def _own(holder: Any, found: Any) -> bool:
    """A function of the plugin, not one that it imported."""
    if not inspect.isroutine(found):
        return False
    return not isinstance(holder, ModuleType) or getattr(found, "__module__", None) == holder.__name__


def _arguments(function: Any) -> list[str]:
    """Names of the arguments that pluggy would fill: those without a default value."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in parameters if one.kind in positional and one.default is inspect.Parameter.empty]
