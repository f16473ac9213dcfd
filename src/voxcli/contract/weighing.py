"""Runs in a process of its own: what a plugin costs everybody at start-up. Entry points in, one line of JSON out.

python -m voxcli.contract.weighing '{"entries": ["vox_gain"], "file": null}'
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str]) -> None:
    """Import the plugin and let it register; then its components, one after the other."""
    asked = json.loads(arguments[0])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)  # what is printed below Python counts as well
        result = _weighed(asked)
        sys.stdout.flush()
        printed.seek(0)
        result["printed"] = printed.read(2000).decode("utf-8", "replace").strip()
    out.write(json.dumps(result) + "\n")
    out.flush()
    os._exit(0)


def _weighed(asked: dict[str, Any]) -> dict[str, Any]:
    from voxcli.contract.target import Recorder
    from voxcli.plugins import importing
    from voxcli.plugins.looks.patches import Patches
    from voxcli.plugins.looks.watching import Watch

    for name in ("typer", "pluggy", "voxcli.plugins.manager"):  # what every command has imported anyway
        importlib.import_module(name)
    file = Path(asked["file"]) if asked["file"] else None
    targets: list[str] = asked["entries"]
    own = f"vox_plugin_{file.stem.replace('-', '_')}" if file is not None else targets[0].partition(":")[0]
    patches = Patches(own.partition(".")[0])
    watch = Watch(patches.imported)
    recorder = Recorder("weighed", "")
    state = State()
    sys.meta_path.insert(0, watch)
    begin = time.perf_counter()
    if file is not None:
        plugins = [importing.load_file(file, file.read_bytes())]
    else:
        plugins = [importing.load(target) for target in targets]
    for plugin in plugins:
        register = getattr(plugin, "vox_register", None)
        if register is not None:
            register(recorder)
    seconds = time.perf_counter() - begin - watch.own_seconds
    changed = dict.fromkeys([*_replaced(patches), *state.changed()])
    found: dict[str, Any] = {"seconds": seconds, "heavy": _told(watch), "components": []}
    for one in recorder.added:
        known, spent = len(watch.found), watch.own_seconds
        begin = time.perf_counter()
        try:
            importlib.import_module(one.target.partition(":")[0])
        except (Exception, SystemExit):  # third-party code; another trial says so
            continue
        seconds = time.perf_counter() - begin - (watch.own_seconds - spent)
        told = {"component": f"{one.kind}/{one.name}", "seconds": seconds, "heavy": _told(watch)[known:]}
        found["components"].append(told)
    changed |= dict.fromkeys([*_replaced(patches), *state.changed(libraries=bool(watch.found))])
    return {**found, "changed": list(changed)}


def _replaced(patches: Any) -> list[str]:
    return [f"{name} was replaced" for name in patches.found()]


def _told(watch: Any) -> list[str]:
    """ "torch by vox_x:3" of each heavy library."""
    return [f"{one.module} by {one.chain[-1]}" if one.chain else one.module for one in watch.found]


class State:
    """What a plugin has no business changing at import."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._folder = os.getcwd()
        self._path = list(sys.path)
        self._signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._threads = set(threading.enumerate())
        self._logging = (list(logging.root.handlers), logging.root.level)
        self._random = random.getstate()

    def changed(self, *, libraries: bool = False) -> list[str]:
        """Each change in a few words. With `libraries`, heavy ones were imported: what they do themselves is left out,
        peft and sklearn set environment variables, ray changes sys.path."""
        found = [] if libraries else self._surroundings()
        if os.getcwd() != self._folder:
            found.append(f"the working directory is {os.getcwd()}")
        found += [
            f"the handler of {number.name} was replaced"
            for number, before in self._signals.items()
            if signal.getsignal(number) is not before
        ]
        if (list(logging.root.handlers), logging.root.level) != self._logging:
            found.append("the root logger was set up")
        if random.getstate() != self._random:
            found.append("Python's random generator was drawn from or seeded")
        return found

    def _surroundings(self) -> list[str]:
        found = [
            f"the environment variable {name} was set"
            for name in sorted(set(os.environ) | set(self._environment))
            if os.environ.get(name) != self._environment.get(name)
        ]
        if sys.path != self._path:
            found.append("sys.path was changed")
        started = [one.name for one in threading.enumerate() if one not in self._threads]
        return [*found, *(f"the thread {name} was started" for name in started)]


if __name__ == "__main__":
    main(sys.argv[1:])
