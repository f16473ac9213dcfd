"""P001: plugins and components that cannot be imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.plugins.looks.look import Failure
    from voxcli.plugins.manager import Plugin


class PluginBroken:
    """A plugin is installed and cannot be used, or one of its components or commands cannot.

    Why: voxcli goes on without it, so nothing fails until a recipe asks for what the plugin brings, and a listener, of
    a tracker for example, is simply silent. A package that was removed or moved and left its entry point behind looks
    the same. A plugin that raises, calls sys.exit, crashes or does not come to an end while it is imported was imported
    in a process of its own, so that no command pays for it. Components are imported when a recipe names them, so a
    plugin may load and its data set still fail; all of them are imported here, in a process for each plugin.

    Repair: upgrade or reinstall the distribution; `vox plugins disable NAME` switches a plugin off.

    Sources: simonw/llm#1280 and datachain#1904 (one broken plugin, or one stale entry point, ends every command without
    being named); packaging.python.org, "Entry points specification".
    """

    code: ClassVar[str] = "P001"
    name: ClassVar[str] = "plugin-broken"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """What P003 and P005 explain better is left to them; checks that cannot be imported are P006."""
        from voxcli.doctor.machine.starts import starts

        loaded = context.plugins
        for plugin in loaded.plugins:
            failure = plugin.failure
            if plugin.state == "broken" and failure is not None and not (failure.shadowed or failure.misfits):
                reason = " ".join(plugin.reason.split())
                yield Finding(
                    "error", f"{plugin.title} is broken: {reason}", _help(plugin, failure), where=failure.place
                )
            if plugin.state == "slow":
                help = f"`vox plugins list` waits for it; {_off(plugin)}"
                yield Finding("warning", f"{plugin.title} could not be looked at: {plugin.reason}", help)
            for hook, raised in plugin.look.raised.items() if plugin.state == "ok" and plugin.look else ():
                message = f"{plugin.title}: {hook} fails: {raised.message}"
                yield Finding("error", message, _upgrade(plugin), where=raised.place)
        for start in starts(loaded):
            plugin = start.plugin
            for one in start.components:
                if one["kind"] == "check":
                    continue
                message = f"{plugin.title}: the {one['kind']} '{one['name']}' cannot be imported: {one['message']}"
                yield Finding("error", " ".join(message.split()), _component_help(plugin, one), where=one["place"])
            if start.ending:
                what = "its components do" if start.seconds is not None else "it does"
                message = f"{plugin.title}: {what} not load in a process of its own: {start.ending}"
                yield Finding("warning", message, f"see for yourself: {_command(plugin)}")


def _help(plugin: Plugin, failure: Failure) -> str:
    own = plugin.target.partition(":")[0]
    if failure.help:
        return f"{failure.help}; {_off(plugin)}"
    if missing := failure.missing:
        if own == missing or own.startswith(f"{missing}."):
            name = plugin.distribution
            return f"its files are gone: `pip install --force-reinstall {name}`, or `pip uninstall {name}`"
        return f"`pip install {missing.partition('.')[0]}` if that is its name on PyPI, {_off(plugin)}"
    return f"{_upgrade(plugin)}, {_off(plugin)}"


def _off(plugin: Plugin) -> str:
    return f"or `vox plugins disable {plugin.name}` to go without it"


def _upgrade(plugin: Plugin) -> str:
    return f"`pip install --upgrade {plugin.distribution}`"


def _component_help(plugin: Plugin, one: dict[str, str | None]) -> str:
    missing = (one["missing"] or "").partition(".")[0]
    if missing and missing != plugin.target.partition(":")[0].partition(".")[0]:
        return f"`pip install {missing}` if that is its name on PyPI"
    return f"{_upgrade(plugin)}, or report it there"


def _command(plugin: Plugin) -> str:
    return (
        f"`python -X faulthandler -c 'import {plugin.target.partition(':')[0]}'`" if plugin.target else "run the file"
    )
