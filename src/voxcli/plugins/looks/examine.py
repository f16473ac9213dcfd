"""One plugin -> what there is to know of it. It is imported here, so this runs in a process that nothing else needs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from typing import Any

import pluggy

from voxcli.plugins import hooks, importing
from voxcli.plugins.commands import commands_of
from voxcli.plugins.looks.look import Component, Failure, Look, failure_from
from voxcli.plugins.looks.patches import Patches
from voxcli.plugins.looks.watching import Watch
from voxcli.plugins.misfits import implemented, oddities
from voxcli.plugins.recorder import Recorder
from voxcli.plugins.registry import Registry

PRINTED = 200  # characters that are kept of what it prints


def look_at(name: str, target: str, distribution: str, version: str) -> Look | Failure:
    """Import a plugin and call what it registers with. `name` and `target` are those of its entry point.

    Everything that it raises is caught; what ends the process, or does not end, is for the caller.
    """
    own = _top(target)
    patches = Patches(own)
    watch = Watch(patches.imported)
    sys.meta_path.insert(0, watch)
    recorder = Recorder(Registry(), distribution, version)
    begin = time.perf_counter()
    try:
        module = importing.load(target)
        register = getattr(module, "vox_register", None)
        if register is not None:
            register(recorder)
    except BaseException as error:  # third-party code: what it raises is what is asked for
        return failure_from(error)
    seconds = time.perf_counter() - begin - watch.own_seconds
    odd = tuple(oddities(name, module))
    try:
        _checked(module)
    except Exception as error:
        failed = failure_from(error)
        return Failure(failed.message, failed.place, misfits=tuple(one for one in odd if one.broken))
    commands, raised = _commands(module)
    with contextlib.suppress(ValueError):
        sys.meta_path.remove(watch)
    version_asked = getattr(module, "API_VERSION", None)
    return Look(
        components=tuple(Component(one.kind, one.name, one.target, one.summary) for one in recorder.registry),
        commands=commands,
        hooks=tuple(implemented(module)),
        misfits=odd,
        known=tuple(recorder.registry.told),
        api_version=version_asked if isinstance(version_asked, int) else None,
        heavy=watch.found,
        patched=patches.found(),
        raised=raised,
        seconds=seconds,
        origin=str(getattr(sys.modules.get(own), "__file__", None) or ""),
    )


def files(target: str, also: str = "") -> dict[str, list[int]]:
    """The files that decide what a plugin is -> their modification times, ns, and sizes, bytes.

    They are those of its modules that were imported, and the one of `also`, a place "file:line".
    """
    own = _top(target)
    paths = {also.rpartition(":")[0]}
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(own)
        paths.add((spec.origin if spec is not None else None) or "")
    for name, module in list(sys.modules.items()):
        if name == own or name.startswith(f"{own}."):
            paths.add(str(getattr(module, "__file__", None) or ""))
    found = {}
    for path in sorted(paths):
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found[os.path.abspath(path)] = [status.st_mtime_ns, status.st_size]
    return found


def _checked(module: Any) -> None:
    """Raise what pluggy raises where the hooks cannot be called."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(module)


def _commands(module: Any) -> tuple[dict[str, str], dict[str, Failure]]:
    """name -> its line of help; and why there are none, or not all."""
    try:
        made = commands_of(module)
    except BaseException as error:  # third-party code, as above
        return {}, {"vox_commands": failure_from(error)}
    lost = [f"its command '{one.name}' cannot be used: {one.reason}" for one in made if one.command is None]
    found = {one.name: one.help for one in made if one.command is not None}
    return found, {"vox_commands": Failure("; ".join(lost))} if lost else {}


def _top(target: str) -> str:
    return target.partition("[")[0].partition(":")[0].strip().partition(".")[0]
