"""Every plugin -> how long it takes to load, what it imports, and which of its components fail.

Those that are installed have been looked at in a process of their own (`voxcli.plugins.looks`); their components, and
plugin files, are imported here, in a process for each plugin.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from voxcli.doctor.machine import probing
from voxcli.plugins import locking
from voxcli.plugins.looks.look import HeavyImport
from voxcli.plugins.manager import Manager, Plugin

SECONDS = 60.0  # for all plugins; the components of one may import torch


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
    """One for each plugin file, and for each installed plugin that was looked at with success and may run."""
    lock = locking.current()
    asked = [
        plugin
        for plugin in loaded.plugins
        if plugin.file or (plugin.state == "ok" and plugin.look and (lock is None or lock.allows(plugin)))
    ]
    commands = {
        str(number): probing.python("voxcli.doctor.machine.starting", json.dumps(_what(one)))
        for number, one in enumerate(asked)
        if one.file or (one.look and one.look.components)
    }
    done = probing.run(commands, seconds=SECONDS)
    return tuple(_start(plugin, done.get(str(number))) for number, plugin in enumerate(asked))


def _what(plugin: Plugin) -> dict[str, Any]:
    if plugin.file is not None:
        return {"file": str(plugin.file.absolute())}
    found = plugin.look.components if plugin.look is not None else ()
    return {"components": [{"kind": one.kind, "name": one.name, "target": one.target} for one in found]}


def _start(plugin: Plugin, done: probing.Done | None) -> Start:
    look = plugin.look
    seconds, heavy = (look.seconds, look.heavy) if look is not None else (None, ())
    if done is None:
        return Start(plugin, seconds, heavy)
    told: dict[str, Any] = {}
    for line in done.out.splitlines():
        try:
            told |= json.loads(line)
        except ValueError:  # cut off by a crash
            continue
    if look is None:
        rows = told.get("heavy", ())
        heavy = tuple(HeavyImport(one["module"], one["seconds"], tuple(one["chain"])) for one in rows)
        seconds = told.get("seconds")
    ending = "" if "components" in told or told.get("failure") else done.ending
    return Start(plugin, seconds, heavy, tuple(told.get("components", ())), ending)
