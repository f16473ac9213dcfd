"""Plugins one by one, so that one that fails is named and everything else goes on.

What an installed plugin brings is known from a look at it (`voxcli.plugins.looks`); its code runs in this process when
one of its components, commands or hooks is needed. Plugin files (`--plugin`) run at once, as they are given to do.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import voxcli
from voxcli.errors import PluginError
from voxcli.plugins import importing
from voxcli.plugins.looks.look import failure_from
from voxcli.plugins.plugin import Plugin as Plugin
from voxcli.plugins.registry import BUILTIN, Registration, Registry

if TYPE_CHECKING:
    from voxcli.plugins.commands import Added
    from voxcli.plugins.discovery import Discovery
    from voxcli.plugins.misfits import Misfit

log = logging.getLogger(__name__)

RUN_HOOKS = "vox_run_"


class Manager:
    """The plugins of this process, their registry and their hooks."""

    def __init__(self) -> None:
        self.registry = Registry(self)
        self._own: list[Plugin] = []
        self._files: list[Plugin] = []
        self._installed: Discovery | None = None
        self._called: set[str] = set()
        self._warned: set[int] = set()
        self._added: dict[int, list[Added]] = {}

    @property
    def plugins(self) -> list[Plugin]:
        """voxcli itself, the installed plugins by name, the plugin files. Waits a moment for those that are new."""
        self.complete(thorough=False)
        return [*self._own, *(self._installed.plugins if self._installed is not None else ()), *self._files]

    def load_builtin(self) -> None:
        """Register voxcli's own components."""
        from voxcli.plugins import builtin

        self._own.append(Plugin(BUILTIN, BUILTIN, voxcli.__version__, module=builtin))
        self._register(self._own[0])

    def load_file(self, path: Path, say: Callable[[str], None] = log.info) -> None:
        """Load a one-off plugin from a Python file, and `say` which one runs.

        Raises `PluginError` where it cannot be used.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            what = "there is no such file" if isinstance(error, FileNotFoundError) else f"{error.strerror or error}"
            raise PluginError(f"--plugin {path}: {what}", help="give the path of a Python file") from error
        import hashlib

        digest = hashlib.sha256(content).hexdigest()
        plugin = Plugin(path.stem, str(path), digest[:12], file=path)
        self._allow(plugin)
        say(f"running the plugin file {path.absolute()} (sha256 {digest})")
        begin = time.perf_counter()
        try:
            with importing.quietly():
                plugin.module = importing.load_file(path, content)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # the user's own file: said with its reason, and nothing else runs
            raise PluginError(f"--plugin {path} fails to import: {type(error).__name__}: {error}") from error
        plugin.import_seconds = time.perf_counter() - begin
        self._files.append(plugin)
        try:
            with importing.quietly():
                self._register(plugin)
        except (Exception, SystemExit) as error:  # as above
            raise PluginError(f"--plugin {path}: {type(error).__name__}: {error}") from error

    def module(self, plugin: Plugin) -> Any:
        """The module of a plugin, imported when it is first asked for.

        Raises `PluginError` where it cannot be used, or where a lock in force does not have it.
        """
        if plugin.module is not None:
            return plugin.module
        self._allow(plugin)
        self._name_patches(plugin)
        if plugin.state != "ok":
            raise PluginError(f"{plugin.title} is {plugin.state}: {plugin.reason}", help=_HELP)
        try:
            with importing.quietly():
                plugin.module = importing.load(plugin.target)
                self._hooks.register(plugin.module, name=f"{plugin.distribution}:{plugin.name}")
        except (Exception, SystemExit) as error:  # third-party code: the other plugins go on
            plugin.refuse(failure_from(error), error)
            self.registry.remove(plugin.distribution)
            raise PluginError(f"{plugin.title} is broken: {plugin.reason}", help=_HELP) from error
        return plugin.module

    def wait(self) -> None:
        """Wait until every installed plugin has been looked at, or has been given up."""
        self._found().wait(thorough=True)

    def look_again(self, plugins: Collection[Plugin]) -> None:
        """Look anew at those of these that are broken."""
        self._found().again(plugins)

    def call(self, hook: str, **arguments: Any) -> None:
        """Call a hook on every plugin that implements it, and import those plugins first.

        One that raises is named once and not called again; the others go on.
        """
        if hook not in self._called:
            self._called.add(hook)
            self._import_for(hook)
        for implementation in list(getattr(self._hooks.hook, hook).get_hookimpls()):
            accepted = {name: arguments[name] for name in implementation.argnames if name in arguments}
            try:
                implementation.function(**accepted)
            except (Exception, SystemExit) as error:  # third-party code: a listener must not end the run it listens to
                plugin = next((one for one in self.plugins if one.module is implementation.plugin), None)
                who = plugin.title if plugin is not None else f"plugin {self._hooks.get_name(implementation.plugin)}"
                log.warning("%s raised in %s and is switched off: %s: %s", who, hook, type(error).__name__, error)
                self._hooks.unregister(implementation.plugin)

    def misfits(self) -> Iterator[Misfit]:
        """Functions of plugins that were meant to be hooks and never will be."""
        from voxcli.plugins.misfits import misfits

        return misfits(self.plugins)

    def commands(self) -> dict[str, tuple[str, Plugin]]:
        """name -> (its line of help, the plugin that adds it), of plugin files and of installed plugins."""
        found: dict[str, tuple[str, Plugin]] = {}
        for plugin in self._files:
            for one in self._commands_of(plugin):
                found.setdefault(one.name, (one.help, plugin))
        for plugin in self.plugins:
            if plugin.state == "ok" and plugin.look is not None:
                for name, help in plugin.look.commands.items():
                    found.setdefault(name, (help, plugin))
        return found

    def command(self, name: str, plugin: Plugin) -> Any:
        """A command that a plugin adds, as click has it. Raises `PluginError` where it cannot be made."""
        self.module(plugin)
        for one in self._commands_of(plugin):
            if one.name == name:
                return one.command
        raise PluginError(f"{plugin.title} adds no command '{name}'", help=_HELP)

    def complete(self, *, thorough: bool) -> None:
        """Register what installed plugins bring; `thorough` waits for those that nobody has looked at yet."""
        self._found().wait(thorough=thorough)

    def running(self, registration: Registration) -> contextlib.AbstractContextManager[None]:
        """Around the import of a component. Raises `PluginError` where a lock in force does not have its plugin."""
        if registration.distribution == BUILTIN:
            return contextlib.nullcontext()
        for plugin in self.plugins:
            if plugin.distribution == registration.distribution:
                self._allow(plugin, registration.target)
                self._name_patches(plugin)
        return importing.quietly()

    # ---------------------------------------------------------------------------------------------------------- inside

    @functools.cached_property
    def _hooks(self) -> Any:
        import pluggy

        from voxcli.plugins import hooks

        made = pluggy.PluginManager(hooks.PROJECT)
        made.add_hookspecs(hooks)
        return made

    def _found(self) -> Discovery:
        if self._installed is None:
            from voxcli.plugins.discovery import Discovery

            self._installed = Discovery(self.registry)
        return self._installed

    def _register(self, plugin: Plugin) -> None:
        """Let a plugin that is loaded register its components and hooks."""
        from voxcli.plugins.recorder import Recorder

        if plugin.file is not None:
            self._hooks.register(plugin.module, name=f"{plugin.distribution}:{plugin.name}")
        register = getattr(plugin.module, "vox_register", None)
        if register is not None:
            register(Recorder(self.registry, plugin.distribution, plugin.version))

    def _import_for(self, hook: str) -> None:
        """Import the plugins that implement a hook. Those that cannot be asked are named."""
        for plugin in self.plugins:
            if hook.startswith(RUN_HOOKS):
                self._allow_listener(plugin)
            if plugin.look is not None and plugin.state == "ok" and hook in plugin.look.hooks:
                self._allow(plugin)
                try:
                    self.module(plugin)
                except PluginError as error:
                    log.warning("%s", error.message)
        if hook.startswith(RUN_HOOKS):
            self._found().name_the_silent()

    def _commands_of(self, plugin: Plugin) -> list[Added]:
        """What its `vox_commands` adds, which is called once. What cannot be used is named and left out."""
        from voxcli.plugins.commands import commands_of

        if id(plugin) in self._added:
            return self._added[id(plugin)]
        made = []
        try:
            with importing.quietly():
                made = commands_of(plugin.module)
        except (Exception, SystemExit) as error:  # third-party code: its failure must not cost other commands
            log.warning("%s: vox_commands fails: %s: %s", plugin.title, type(error).__name__, error)
        for one in made:
            if one.command is None:
                log.warning("a command of %s cannot be used: %s: %s", plugin.title, one.name, one.reason)
        self._added[id(plugin)] = [one for one in made if one.command is not None]
        return self._added[id(plugin)]

    def _name_patches(self, plugin: Plugin) -> None:
        """Say once, before it is imported here, what a plugin replaces, and that it is for another voxcli.api."""
        if plugin.look is None or id(plugin) in self._warned:
            return
        self._warned.add(id(plugin))
        if plugin.look.patched:
            log.warning("%s replaces %s, for the whole of this command", plugin.title, ", ".join(plugin.look.patched))
        if plugin.look.api_version is not None:
            from voxcli.api import API_VERSION

            if plugin.look.api_version != API_VERSION:
                log.warning(
                    "%s was written for version %d of voxcli.api, this is version %d: it may fail where they differ",
                    plugin.title, plugin.look.api_version, API_VERSION,
                )  # fmt: skip

    def _allow(self, plugin: Plugin, target: str = "") -> None:
        """Raise `PluginError` where a lock is in force and does not have this plugin, or the module of a component."""
        from voxcli.plugins import locking  # 15 ms, which a command that imports no plugin does not pay

        if (lock := locking.current()) is not None:
            lock.require(plugin)
            if target and plugin.file is None and (found := lock.elsewhere(plugin, target)) is not None:
                raise PluginError(found.message, help=found.help)

    def _allow_listener(self, plugin: Plugin) -> None:
        """The same for what hears of a run, whichever of the hooks: before the first step, and not after the last.

        One that the lock has and that is another now is refused too, though nobody may look whether it listens.
        """
        from voxcli.plugins import locking

        if (lock := locking.current()) is None:
            return
        listens = plugin.look is not None and any(one.startswith(RUN_HOOKS) for one in plugin.look.hooks)
        if (plugin.state == "ok" and listens) or (plugin.state == "held" and lock.names(plugin)):
            lock.require(plugin)


_HELP = "`vox plugins list` shows its state; update or uninstall it"


_paths: list[Path] = []
_say: Callable[[str], None] = log.info


def use_files(paths: Iterable[Path], say: Callable[[str], None] = log.info) -> None:
    """Add one-off plugin files (`--plugin`) before the manager is first asked for; `say` is told which ones run."""
    global _say
    _paths.extend(paths)
    _say = say
    manager.cache_clear()


def files() -> tuple[Path, ...]:
    """The one-off plugin files."""
    return tuple(_paths)


def forget() -> None:
    """Drop the plugin files and everything loaded, so that the next `manager()` looks again. For tests."""
    from voxcli.plugins import locking

    _paths.clear()
    manager.cache_clear()
    locking.forget()


@functools.cache
def manager() -> Manager:
    """The plugins of this process, found when first asked for."""
    made = Manager()
    made.load_builtin()
    for path in _paths:
        made.load_file(path, _say)
    return made
