"""Every installed plugin, loaded in a process of its own: how long it takes, what it imports, which components fail."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from voxcli.doctor.machine import probing
from voxcli.plugins.manager import Manager, Plugin

SECONDS = 60.0  # for all plugins; the components of one may import torch


@dataclass(frozen=True)
class HeavyImport:
    """A module that is imported at start-up and need not be."""

    module: str
    seconds: float
    chain: tuple[str, ...]
    """ "module:line" of every import on the way, the plugin's own first."""


@dataclass(frozen=True)
class Start:
    """The start-up of one plugin."""

    plugin: Plugin
    seconds: float | None
    """None where it did not come to an end."""
    heavy: tuple[HeavyImport, ...] = ()
    components: tuple[dict[str, Any], ...] = ()
    """Those that cannot be imported: kind, name, message, place."""
    ending: str = ""
    """How the process ended, where something is missing."""


@functools.lru_cache(maxsize=1)
def starts(loaded: Manager) -> tuple[Start, ...]:
    """One for each plugin that is neither voxcli itself nor switched off; those that are broken may still be slow."""
    asked = [plugin for plugin in loaded.plugins if plugin.state != "disabled" and (plugin.target or plugin.file)]
    commands = {
        str(number): probing.python("voxcli.doctor.machine.starting", *_what(one)) for number, one in enumerate(asked)
    }
    done = probing.run(commands, seconds=SECONDS)
    return tuple(_start(plugin, done[str(number)]) for number, plugin in enumerate(asked))


def _what(plugin: Plugin) -> tuple[str, str]:
    return ("file", str(plugin.file.absolute())) if plugin.file is not None else ("entry", plugin.target)


def _start(plugin: Plugin, done: probing.Done) -> Start:
    told: dict[str, Any] = {}
    for line in done.out.splitlines():
        try:
            told |= json.loads(line)
        except ValueError:  # cut off by a crash
            continue
    heavy = tuple(HeavyImport(one["module"], one["seconds"], tuple(one["chain"])) for one in told.get("heavy", ()))
    ending = "" if "components" in told or told.get("failure") else done.ending
    return Start(plugin, told.get("seconds"), heavy, tuple(told.get("components", ())), ending)
