"""The installed plugins -> which of them run, what they bring, and which are named and left out.

A look at each is taken from the index. Those that are new are looked at meanwhile; a command waits for them no longer
than a second in all, unless it cannot go on without the answer.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from voxcli.errors import PluginError
from voxcli.plugins import choices, installed
from voxcli.plugins.looks.index import Index, limit, path
from voxcli.plugins.looks.look import Failure, Look
from voxcli.plugins.looks.pending import Looking
from voxcli.plugins.plugin import Plugin
from voxcli.plugins.registry import Registration, Registry

if TYPE_CHECKING:
    from voxcli.plugins.installed import Installed

log = logging.getLogger(__name__)

PATIENCE = 1.0  # s that a command waits in all for plugins that it may not need
SHOWN = 5  # names in one warning
GRACE = 5.0  # s beyond the time that a plugin has, for the process that looks at it to say so

HELD = "it came as a dependency, nobody asked for it"
DISABLED = "you disabled it"
SLOW = "it is new and still being looked at"


class Discovery:
    """The installed plugins of this process."""

    def __init__(self, registry: Registry) -> None:
        self.plugins: list[Plugin] = []
        self._registry = registry
        self._index = Index()
        self._looking = Looking(self._index)
        self._entries: list[tuple[Plugin, Installed]] = []
        self._pending: list[tuple[Plugin, Installed]] = []
        self._renewing = Looking(self._index)
        self._stale: list[tuple[Plugin, Installed]] = []
        self._patience = PATIENCE
        self._named: set[int] = set()
        self._tried_again = False
        self._find()

    def wait(self, *, thorough: bool) -> None:
        """Take what is known of the plugins that are new, and wait for the rest: `thorough` until all is known."""
        if thorough and self._stale:
            self._renew()
        if not self._pending:
            return
        begin = time.monotonic()
        self._take_what_comes(self._patience)
        self._patience = max(0.0, self._patience - (time.monotonic() - begin))
        if thorough and self._looking.is_busy:
            seconds = limit() + GRACE
            log.warning("waiting for %s, which nobody has looked at yet: at most %.0f s", self._names(), seconds)
            self._take_what_comes(seconds, thorough=True)
        elif self._pending and not all(id(plugin) in self._named for plugin, _ in self._pending):
            log.warning("%s: still being looked at, so this command goes on without", self._names())
            self._named |= {id(plugin) for plugin, _ in self._pending}

    def again(self, plugins: Collection[Plugin]) -> None:
        """Look anew at those of these that are broken, and wait for it: what they lacked may be there now."""
        failed = [
            (plugin, one)
            for plugin, one in self._entries
            if plugin in plugins
            and plugin.state == "broken"
            and not (plugin.failure is not None and plugin.failure.shadowed)
            and _locked_out(plugin) is None
        ]
        if not failed:
            return
        for plugin, one in failed:
            self._index.forget(one)
            plugin.state, plugin.failure, plugin.error = "slow", None, None
        self._pending += failed
        self._begin()
        self._take_what_comes(limit() + GRACE, thorough=True)

    def _take_what_comes(self, seconds: float, *, thorough: bool = False) -> None:
        """Wait for at most `seconds`. What another command looked at may have been changed since: it is ours then."""
        deadline = time.monotonic() + seconds
        self._looking.wait(seconds)
        self._settle()
        if self._pending and not self._looking.is_busy and not self._tried_again:
            self._tried_again = True
            self._begin()
            self._looking.wait(seconds if thorough else max(0.0, deadline - time.monotonic()))
            self._settle()

    def name_the_silent(self) -> None:
        """Say of which plugins nobody knows whether they listen to a run."""
        for plugin in self.plugins:
            if plugin.state in ("broken", "slow") and id(plugin) not in self._named:
                self._named.add(id(plugin))
                log.warning("%s is %s and hears nothing of this run: %s", plugin.title, plugin.state, plugin.reason)

    def _find(self) -> None:
        found = installed.found(self._index.scans)
        now, chosen, enabled = choices.disabled_now(), choices.disabled(), choices.enabled()
        by_module: dict[str, Plugin] = {}
        for one in found:
            plugin = Plugin(one.name, one.distribution, one.version, target=one.target, folder=one.folder)
            self.plugins.append(plugin)
            self._entries.append((plugin, one))
            names = {choices.same(one.name), choices.same(one.distribution)}
            keys = {choices.same(one.distribution), choices.key(one.distribution, one.name)}
            look = self._index.look(one)
            if now & {"all", *names}:
                plugin.state, plugin.reason = "disabled", choices.DISABLE_VARIABLE
            elif chosen & keys:
                plugin.state, plugin.reason = "disabled", DISABLED
            elif not one.asked_for and not enabled & keys:
                plugin.state, plugin.reason = "held", HELD
            elif (other := by_module.setdefault(one.target, plugin)) is not plugin:
                plugin.refuse(_shadowed(other, one.target))
            elif look is not None:
                self._take(plugin, look)
                if self._index.is_stale(one) and _locked_out(plugin) is None:
                    self._stale.append((plugin, one))
            elif (reason := _locked_out(plugin)) is not None:
                plugin.state, plugin.reason = "held", reason
            else:
                plugin.state = "slow"
                self._pending.append((plugin, one))
            if plugin.state in ("disabled", "held") and isinstance(look, Look):
                plugin.look, plugin.import_seconds = look, look.seconds
        if self._pending:
            self._begin()
        if self._stale:
            with contextlib.suppress(OSError):  # the next command tries it
                self._renewing.begin([one for _, one in self._stale])
        self._index.settle()
        self._name_new()

    def _begin(self) -> None:
        for plugin, _ in self._pending:
            plugin.reason = SLOW
        try:
            self._looking.begin([one for _, one in self._pending])
        except OSError as error:
            for plugin, _ in self._pending:
                plugin.reason = f"no process can be started to look at it: {error.strerror or error}"
        if self._index.failure is not None:
            log.warning(
                "%s cannot be written (%s), so each command looks at the plugins again; the environment variable "
                "VOX_CACHE names another folder",
                path(), self._index.failure.strerror or self._index.failure,
            )  # fmt: skip

    def _renew(self) -> None:
        """Wait for the look at plugins whose surroundings have changed, and take what they bring now."""
        self._renewing.wait(limit() + GRACE)
        stale, self._stale = self._stale, []
        for distribution in {plugin.distribution for plugin, _ in stale}:
            self._registry.remove(distribution)
        for plugin, one in stale:
            look = self._index.look(one) or plugin.look
            if look is not None:
                self._take(plugin, look)
        self._name_new()

    def _settle(self) -> None:
        """Take what has become known."""
        waiting, self._pending = self._pending, []
        for plugin, one in waiting:
            look = self._index.look(one)
            if look is not None:
                self._take(plugin, look)
                continue
            self._pending.append((plugin, one))
            if not self._looking.is_busy:
                plugin.reason = "the process that looked at it ended without an answer"
        self._name_new()

    def _name_new(self) -> None:
        """Say once, and not in every command, which plugins are broken or held."""
        for state, what in (("broken", "commands that do not need it go on"), ("held", "")):
            resting = [
                (plugin, one)
                for plugin, one in self._entries
                if plugin.state == state and (state != "held" or plugin.reason == HELD)  # not what a lock leaves out
            ]
            new = self._index.new([one for _, one in resting], state)
            for plugin, one in resting:
                if one in new:
                    self._named.add(id(plugin))
                    rest = what or f"`vox plugins enable {plugin.distribution}` lets it run"
                    log.warning("%s is %s: %s; %s", plugin.title, state, plugin.reason, rest)
        odd = [(plugin, one) for plugin, one in self._entries if plugin.state == "ok" and plugin.look.raised]  # type: ignore[union-attr]
        new = self._index.new([one for _, one in odd], "raised")
        for plugin, one in odd:
            for hook, failure in plugin.look.raised.items() if plugin.look is not None and one in new else ():
                log.warning("%s: %s fails: %s", plugin.title, hook, failure.message)

    def _take(self, plugin: Plugin, look: Look | Failure) -> None:
        if isinstance(look, Failure):
            plugin.refuse(look)
            return
        plugin.state, plugin.reason, plugin.look, plugin.import_seconds = "ok", "", look, look.seconds
        who = (plugin.distribution, plugin.version)
        try:
            for one in look.components:
                self._registry.add(Registration(one.kind, one.name, one.target, *who, one.summary, installed=True))
        except PluginError as error:  # two plugins of one distribution, which were looked at one by one
            plugin.refuse(Failure(error.message, help=error.help or ""))
            return
        for known in look.known:
            self._registry.tell(known)

    def _names(self) -> str:
        titles = [plugin.title for plugin, _ in self._pending]
        more = f" and {len(titles) - SHOWN} more" if len(titles) > SHOWN else ""
        return f"{', '.join(titles[:SHOWN])}{more}"


def _shadowed(other: Plugin, target: str) -> Failure:
    module = target.partition(":")[0]
    return Failure(
        f"{other.distribution} {other.version} brings the module '{module}' too, and Python imports one of them",
        shadowed=True,
    )


def _locked_out(plugin: Plugin) -> str | None:
    """Why a lock in force does not let it run, not even to look at it."""
    from voxcli.plugins import locking

    lock = locking.current()
    if lock is None:
        return None
    try:
        lock.require(plugin)
    except PluginError as error:
        return error.message
    return None
