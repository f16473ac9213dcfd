"""Runs in a process of its own: one plugin in; which of its components cannot be imported, out.

A plugin file is loaded first, and timed: in `vox` itself another plugin may have imported torch before, and the second
one then seems to cost nothing. Installed plugins have been looked at already.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxcli.doctor.machine.importing import failure, tell
from voxcli.plugins import importing
from voxcli.plugins.looks.watching import Watch
from voxcli.plugins.recorder import Recorder
from voxcli.plugins.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """`arguments`: JSON with the path of a `file`, or with `components`: kind, name and target of each.

    Prints a line of JSON once a file is loaded and one when the components have been imported.
    """
    asked = json.loads(arguments[0])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    components, failed = asked.get("components", []), None
    if "file" in asked:
        importlib.import_module("typer")  # which every command has imported anyway, as it has the manager
        components, failed, told = _loaded(Path(asked["file"]))
        tell(out, told)
    if failed is None:
        tell(out, {"components": [one for one in map(_component, components) if one is not None]})
    os._exit(0)


def _loaded(path: Path) -> tuple[list[dict[str, str]], dict[str, Any] | None, dict[str, Any]]:
    """What a plugin file registers, why it cannot be loaded, and what it took."""
    watch = Watch()
    sys.meta_path.insert(0, watch)
    registry = Registry()
    begin = time.perf_counter()
    failed = None
    try:
        plugin = importing.load_file(path, path.read_bytes())
        register = getattr(plugin, "vox_register", None)
        if register is not None:
            register(Recorder(registry, str(path), ""))
    except (Exception, SystemExit) as error:  # third-party code: what it raises is what is asked for
        failed = failure(error)
    seconds = time.perf_counter() - begin
    sys.meta_path.remove(watch)
    told = {"seconds": seconds, "heavy": [asdict(one) for one in watch.found], "failure": failed}
    return [{"kind": one.kind, "name": one.name, "target": one.target} for one in registry], failed, told


def _component(added: dict[str, str]) -> dict[str, Any] | None:
    """The component, where its class cannot be imported."""
    module, _, attribute = added["target"].partition(":")
    try:
        getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # third-party code
        return {"kind": added["kind"], "name": added["name"], **failure(error)}
    return None
