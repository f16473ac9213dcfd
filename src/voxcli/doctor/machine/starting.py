"""Runs in a process of its own: one plugin in; how long it takes to load, what it imports, which components fail, out.

In `vox` itself another plugin may have imported torch before, and the second one then seems to cost nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from voxcli.doctor.checks.thresholds import HEAVY
from voxcli.doctor.machine.importing import failure, tell
from voxcli.plugins.manager import import_file


def main(arguments: Sequence[str]) -> None:
    """`arguments`: the plugin as "module" or "module:attribute", or the path of a file, and what it is.

    Prints a line of JSON once the plugin is loaded and one when its components have been imported.
    """
    kind, target = arguments
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    importlib.import_module("typer")  # which every command has imported anyway, as it has the manager

    watch = Watch()
    sys.meta_path.insert(0, watch)
    recorder = _Recorder()
    begin = time.perf_counter()
    failed = None
    try:
        plugin = import_file(Path(target)) if kind == "file" else EntryPoint("plugin", target, "voxcli").load()
        register = getattr(plugin, "vox_register", None)
        if register is not None:
            register(recorder)
    except (Exception, SystemExit) as error:  # third-party code: what it raises is what is asked for
        failed = failure(error)
    seconds = time.perf_counter() - begin
    sys.meta_path.remove(watch)
    tell(out, {"seconds": seconds, "heavy": watch.found, "failure": failed})
    if failed is None:
        components = [one for one in map(_component, recorder.added) if one is not None]
        tell(out, {"components": components})
    os._exit(0)


_BETWEEN = ("importlib", "voxcli.plugins")
"""What stands between an import statement and the module it imports, and before the plugin."""


class _Recorder:
    """What `vox_register` receives."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, str]] = []

    def add(self, kind: str, name: str, target: str, *, summary: str = "") -> None:
        self.added.append((kind, name, target))


class Watch:
    """Stands first among the finders of modules and finds nothing itself: notes who imports what is heavy, and how long
    it takes.
    """

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._inside = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Only the first heavy module of a chain counts: what torch imports is torch's."""
        if name not in HEAVY or self._inside:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        told: dict[str, Any] = {"module": name, "seconds": 0.0, "chain": _chain()}
        self.found.append(told)
        run: Callable[[Any], None] = spec.loader.exec_module

        def timed(module: Any) -> None:
            self._inside = True
            begin = time.perf_counter()
            try:
                run(module)
            finally:
                told["seconds"] = time.perf_counter() - begin
                self._inside = False

        spec.loader.exec_module = timed  # type: ignore[method-assign]
        return spec


def _chain() -> list[str]:
    """ "module:line" of every import on the way, the plugin's own first."""
    chain: list[str] = []
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") != __name__:
        name = str(frame.f_globals.get("__name__", ""))
        if not frame.f_code.co_filename.startswith("<frozen") and not name.startswith(_BETWEEN):
            chain.append(f"{name}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return chain[::-1]


def _component(added: tuple[str, str, str]) -> dict[str, Any] | None:
    """The component, where its class cannot be imported."""
    kind, name, target = added
    module, _, attribute = target.partition(":")
    try:
        getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # third-party code
        return {"kind": kind, "name": name, **failure(error)}
    return None
