"""Plugins -> functions that were meant to be hooks and never will be: misspelled, not marked, or with other arguments.

What `vox plugins list` and `vox doctor` say about them is written here.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from voxcli.plugins import hooks
from voxcli.plugins.looks.look import Oddity

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
    place: str = ""
    """ "file:line" """


def misfits(plugins: Iterable[Plugin]) -> Iterator[Misfit]:
    """The misfits of every plugin that was looked at, or that was imported here."""
    for plugin in plugins:
        if plugin.look is not None:
            found: Iterable[Oddity] = plugin.look.misfits
        elif plugin.failure is not None:
            found = plugin.failure.misfits
        else:
            found = oddities(plugin.name, plugin.module) if plugin.module is not None else ()
        for one in found:
            yield Misfit(plugin, one.attribute, one.message, one.help, one.broken, one.place)


def oddities(plugin: str, module: Any) -> Iterator[Oddity]:
    """The misfits of the module of a plugin."""
    known = hook_arguments()
    for name in sorted(dir(module)):
        found = getattr(module, name, None)
        if hasattr(found, f"{hooks.PROJECT}_impl"):
            yield from _marked(plugin, name, found, known)
        elif _is_name(name) and _own(module, found):
            yield from _unmarked(plugin, module, name, known)


@functools.cache
def hook_arguments() -> dict[str, list[str]]:
    """The arguments of each hook of voxcli."""
    return {name: list(inspect.signature(getattr(hooks, name)).parameters) for name in dir(hooks) if _is_name(name)}


def implemented(module: Any) -> list[str]:
    """The hooks that a module implements; `vox_register` works without the mark."""
    marked = [name for name in hook_arguments() if hasattr(getattr(module, name, None), f"{hooks.PROJECT}_impl")]
    register = ["vox_register"] if callable(getattr(module, "vox_register", None)) else []
    return sorted({*marked, *register})


def _marked(plugin: str, name: str, function: Any, known: dict[str, list[str]]) -> Iterator[Oddity]:
    if name not in known:
        message = f"plugin {plugin} implements '{name}', which is no hook of voxcli"
        yield Oddity(name, message, f"{_suggestion(name, known)}hooks: {', '.join(known)}", place=_place(function))
        return
    unknown = [argument for argument in _arguments(function) if argument not in known[name]]
    if unknown:
        asked = " and ".join(f"'{argument}'" for argument in unknown)
        message = f"plugin {plugin}: '{name}' takes {asked}, which the hook does not have"
        help = f"{name}({', '.join(known[name])}): any of these, by these names"
        yield Oddity(name, message, help, broken=True, place=_place(function))


def _unmarked(plugin: str, module: Any, name: str, known: dict[str, list[str]]) -> Iterator[Oddity]:
    """`vox_register` works without the mark; a helper that resembles a hook the plugin has is a helper."""
    close = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), None)
    place = _place(getattr(module, name))
    if name in known and name != "vox_register":
        message = f"plugin {plugin}: '{name}' is not marked with @hookimpl and is never called"
        yield Oddity(name, message, "write @hookimpl above it: from voxcli.api import hookimpl", place=place)
    elif name not in known and close is not None and not hasattr(module, close):
        message = f"plugin {plugin}: '{name}' is no hook of voxcli and is never called"
        yield Oddity(name, message, f"did you mean `{close}`? hooks are marked with @hookimpl", place=place)


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


def _place(function: Any) -> str:
    try:
        return f"{inspect.getsourcefile(function)}:{inspect.getsourcelines(function)[1]}"
    except (TypeError, OSError):
        return ""
