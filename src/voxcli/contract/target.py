"""The name of a module, a distribution or an entry point, or a file -> the plugin's modules and what they register.

Nothing goes through the manager of this process: a plugin that is switched off, or not installed, can be tried as well.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import voxcli
from voxcli.errors import PluginError
from voxcli.plugins import builtin, hooks, importing, locking
from voxcli.plugins.manager import Plugin, manager
from voxcli.plugins.registry import BUILTIN, Registration, Registry


@dataclass
class Part:
    """One module of a plugin, or the object in it, that an entry point names."""

    name: str
    """The entry point's, or the module's."""
    target: str
    """ "module" or "module:attribute"; the path of a file."""
    module: Any = None
    error: BaseException | None = None
    """Why it cannot be imported."""


@dataclass
class Target:
    """The plugin that is tried."""

    name: str
    distribution: str
    version: str
    parts: list[Part]
    file: Path | None = None
    installed: bool = True
    """Whether an entry point names it."""
    known: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def builtin(self) -> bool:
        """Whether it is voxcli itself."""
        return self.distribution == BUILTIN


class Recorder:
    """What `vox_register` receives: keeps what is registered, and what is wrong with it."""

    def __init__(self, distribution: str, version: str) -> None:
        self._distribution = distribution
        self._version = version
        self.added: list[Registration] = []
        self.refused: list[PluginError] = []
        self._registry = Registry()

    def add(self, kind: str, name: str, target: str, *, summary: str = "") -> None:
        """As `ComponentRegistry.add`; what is refused is kept, so that the rest can be tried."""
        one = Registration(kind, name, target, self._distribution, self._version, summary)
        try:
            self._registry.add(one)
        except PluginError as error:
            self.refused.append(error)
        else:
            self.added.append(one)

    def known(self, kind: str, name: str, distribution: str) -> None:
        """Names of components that other distributions bring are nothing to try."""


def find(plugin: str | Path) -> Target:
    """The plugin that a name or a path means, its modules imported. Raises `PluginError` where there is none."""
    path = Path(plugin)
    if isinstance(plugin, Path) or (path.suffix == ".py" and path.is_file()):
        return _file(path)
    if plugin == BUILTIN:
        return Target(BUILTIN, BUILTIN, voxcli.__version__, [Part(BUILTIN, builtin.__name__, builtin)])
    points = list(entry_points(group=hooks.PROJECT))
    found = _named(points, plugin)
    if found:
        first = found[0]
        distribution, version = (first.dist.name, first.dist.version) if first.dist is not None else (first.name, "")
        for one in found:
            _allow(Plugin(one.name, distribution, version, target=one.value))
        return Target(plugin, distribution, version, [_imported(Part(one.name, one.value)) for one in found])
    if re.fullmatch(r"[A-Za-z_][\w.]*", plugin) and _is_module(plugin):
        return Target(plugin, plugin, "", [_imported(Part(plugin, plugin))], installed=False)
    known = sorted({one.dist.name if one.dist is not None else one.name for one in points})
    raise PluginError(
        f"there is no plugin '{plugin}': no distribution, module or entry point is called so",
        help=f"installed: {', '.join(known) or 'none'}; a file is given by its path, in Python as a Path",
    )


def registered(target: Target) -> tuple[Recorder, list[BaseException]]:
    """What the plugin registers, and what its `vox_register` raises."""
    recorder, failed = Recorder(target.distribution, target.version), list[BaseException]()
    for part in target.parts:
        register = getattr(part.module, "vox_register", None)
        if register is not None:
            try:
                register(recorder)
            except (Exception, SystemExit) as error:  # third-party code: what it raises is what is asked for
                failed.append(error)
    return recorder, failed


class WithInstalled(Registry):
    """Components that are tried or tried with. What else is installed is found by its name, and is not listed."""

    def find(self, kind: str, name: str) -> Registration:
        """As in every registry; a name that it does not have is looked up among everything that is installed."""
        try:
            return super().find(kind, name)
        except PluginError:
            return manager().registry.find(kind, name)

    def load(self, kind: str, name: str) -> type:
        """As in every registry. Raises `PluginError` where a lock in force does not have the plugin."""
        return manager().registry.load(kind, name) if self.find(kind, name).installed else super().load(kind, name)


def registry_of(added: Iterable[Registration]) -> Registry:
    """The built-in components and those of the plugin; those of other plugins by their names alone."""
    recorder = Recorder(BUILTIN, voxcli.__version__)
    builtin.vox_register(recorder)
    made = WithInstalled()
    for one in [*recorder.added, *added]:
        if not any(other == one for other in made):
            made.add(one)
    return made


def _file(path: Path) -> Target:
    if not path.is_file():
        raise PluginError(f"there is no plugin file {path}", help="give the path of a Python file")
    _allow(Plugin(path.stem, str(path), "", file=path))
    part = Part(path.stem, str(path))
    try:
        part.module = importing.load_file(path, path.read_bytes())
    except (Exception, SystemExit) as error:  # third-party code
        part.error = error
    return Target(str(path), path.name, "", [part], file=path.absolute())


def _named(points: Iterable[EntryPoint], name: str) -> list[EntryPoint]:
    """All entry points of a distribution; else of a module; else of that name."""
    ways: Mapping[int, Any] = {
        0: lambda one: one.dist is not None and _canonical(one.dist.name) == _canonical(name),
        1: lambda one: one.module == name or one.module.partition(".")[0] == name,
        2: lambda one: one.name == name,
    }
    for way in ways.values():
        if found := sorted((one for one in points if way(one)), key=lambda one: one.name):
            return found
    return []


def _allow(plugin: Plugin) -> None:
    """Raise `PluginError` where a lock is in force and does not have this plugin."""
    if (lock := locking.current()) is not None:
        lock.require(plugin)


def _imported(part: Part) -> Part:
    try:
        part.module = importing.load(part.target)
    except (Exception, SystemExit) as error:  # third-party code
        part.error = error
    return part


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
