"""Loads plugins one by one, so that one that fails is named and everything else goes on.

Entry points of the group "voxcli" are found by importlib.metadata and never through pluggy's own loader, which loads
all of them unguarded (pluggy documentation, `load_setuptools_entrypoints`).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

import voxcli
from voxcli.errors import PluginError
from voxcli.plugins import builtin, hooks
from voxcli.plugins.misfits import Misfit, misfits
from voxcli.plugins.registry import BUILTIN, Registration, Registry

log = logging.getLogger(__name__)

DISABLE_VARIABLE = "VOX_DISABLE_PLUGINS"  # comma-separated names, or "all"


@dataclass
class Plugin:
    """One installed plugin and what came of loading it."""

    name: str
    distribution: str
    version: str
    state: str = "ok"
    """ok, broken or disabled"""
    reason: str = ""
    import_seconds: float = 0.0
    module: Any = field(default=None, repr=False)
    target: str = ""
    """What its entry point names, "module" or "module:attribute"; empty for voxcli itself and for a file."""
    file: Path | None = None
    """Where it is one file, given with `--plugin`."""
    error: BaseException | None = field(default=None, repr=False)
    """Why it is broken."""


class _Recorder:
    """What `vox_register` of one plugin receives: fills the registry under that plugin's name."""

    def __init__(self, registry: Registry, plugin: Plugin) -> None:
        self._registry = registry
        self._plugin = plugin

    def add(self, kind: str, name: str, target: str, *, summary: str = "") -> None:
        self._registry.add(Registration(kind, name, target, self._plugin.distribution, self._plugin.version, summary))


class Manager:
    """The plugins of this process, their registry and their hooks."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.plugins: list[Plugin] = []
        self._pluggy = pluggy.PluginManager(hooks.PROJECT)
        self._pluggy.add_hookspecs(hooks)

    def load_builtin(self) -> None:
        """Register voxcli's own components."""
        self._take(Plugin(BUILTIN, BUILTIN, voxcli.__version__, module=builtin))

    def load_installed(self) -> None:
        """Load every plugin named by an entry point, except those that VOX_DISABLE_PLUGINS names."""
        disabled = {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}
        for entry in sorted(entry_points(group=hooks.PROJECT), key=lambda point: point.name):
            plugin = Plugin(entry.name, *_distribution(entry), target=entry.value)
            if disabled & {"all", entry.name, plugin.distribution}:
                plugin.state, plugin.reason = "disabled", DISABLE_VARIABLE
                self.plugins.append(plugin)
                continue
            begin = time.perf_counter()
            try:
                plugin.module = entry.load()
            except (Exception, SystemExit) as error:  # third-party code: its failure must not cost other commands
                _refuse(plugin, error)
            plugin.import_seconds = time.perf_counter() - begin
            self._take(plugin)

    def load_file(self, path: Path) -> None:
        """Load a one-off plugin from a Python file. Raises `PluginError` where it cannot be used."""
        if not path.is_file():
            raise PluginError(f"--plugin {path}: there is no such file", help="give the path of a Python file")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        log.info("plugin file %s (sha256 %s)", path, digest[:16])
        plugin = Plugin(path.stem, str(path), digest[:12], file=path)
        begin = time.perf_counter()
        try:
            plugin.module = import_file(path)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # the user's own file: said with its reason, and nothing else runs
            raise PluginError(f"--plugin {path} fails to import: {type(error).__name__}: {error}") from error
        plugin.import_seconds = time.perf_counter() - begin
        self._take(plugin)
        if plugin.state == "broken":
            raise PluginError(f"--plugin {path}: {plugin.reason}")

    def _take(self, plugin: Plugin) -> None:
        """Keep a plugin, and let it register its components."""
        self.plugins.append(plugin)
        if plugin.state != "ok":
            log.warning("plugin %s %s is broken: %s", plugin.name, plugin.version, plugin.reason)
            return
        try:
            self._pluggy.register(plugin.module, name=f"{plugin.distribution}:{plugin.name}")
            register = getattr(plugin.module, "vox_register", None)
            if register is not None:
                register(_Recorder(self.registry, plugin))
        except Exception as error:  # third-party code, see above
            _refuse(plugin, error)
            self.registry.remove(plugin.distribution)
            if self._pluggy.is_registered(plugin.module):
                self._pluggy.unregister(plugin.module)
            log.warning("plugin %s %s is broken: %s", plugin.name, plugin.version, plugin.reason)

    def call(self, hook: str, **arguments: Any) -> None:
        """Call a hook on every plugin. One that raises is named once and not called again; the others go on."""
        for implementation in list(getattr(self._pluggy.hook, hook).get_hookimpls()):
            plugin = implementation.plugin
            accepted = {name: arguments[name] for name in implementation.argnames if name in arguments}
            try:
                implementation.function(**accepted)
            except Exception as error:  # third-party code: a listener must not end the run it listens to
                name = self._pluggy.get_name(plugin)
                log.warning(
                    "plugin %s raised in %s and is switched off: %s: %s", name, hook, type(error).__name__, error
                )
                self._pluggy.unregister(plugin)

    def misfits(self) -> Iterator[Misfit]:
        """Functions of plugins that were meant to be hooks and never will be."""
        return misfits(self.plugins)


def import_file(path: Path) -> ModuleType:
    """The module that a plugin file makes. Raises what the file raises."""
    name = f"vox_plugin_{path.stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"--plugin {path} is not a Python file", help="its name has to end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its components can be imported and pickled by name
    spec.loader.exec_module(module)
    return module


def _refuse(plugin: Plugin, error: BaseException) -> None:
    plugin.state, plugin.reason, plugin.error = "broken", f"{type(error).__name__}: {error}", error


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return entry.name, ""
    return entry.dist.name, entry.dist.version


_files: list[Path] = []


def use_files(paths: list[Path]) -> None:
    """Add one-off plugin files (`--plugin`) before the manager is first asked for."""
    _files.extend(paths)
    manager.cache_clear()


def files() -> tuple[Path, ...]:
    """The one-off plugin files."""
    return tuple(_files)


def forget() -> None:
    """Drop the plugin files and everything loaded, so that the next `manager()` looks again. For tests."""
    _files.clear()
    manager.cache_clear()


@functools.cache
def manager() -> Manager:
    """The plugins of this process, loaded when first asked for."""
    made = Manager()
    made.load_builtin()
    made.load_installed()
    for path in _files:
        made.load_file(path)
    return made
