"""P001: plugins and components that cannot be imported."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import voxcli
from voxcli.api import Finding
from voxcli.errors import VoxError
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.plugins.manager import Plugin


class PluginBroken:
    """A plugin is installed and cannot be used, or one of its components cannot be imported.

    Why: voxcli goes on without it, so nothing fails until a recipe asks for what the plugin brings, and a listener, of
    a tracker for example, is simply silent. A package that was removed or moved and left its entry point behind looks
    the same. Components are imported when a recipe names them, so a plugin may load and its data set still fail; all of
    them are imported here, in a process of its own for each plugin.

    Repair: upgrade or reinstall the distribution; VOX_DISABLE_PLUGINS=NAME switches a plugin off.

    Sources: simonw/llm#1280 and datachain#1904 (one broken plugin, or one stale entry point, ends every command without
    being named); packaging.python.org, "Entry points specification".
    """

    code: ClassVar[str] = "P001"
    name: ClassVar[str] = "plugin-broken"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """What P003 and P005 explain better is left to them; checks that cannot be imported are P006."""
        from voxcli.doctor.machine.starts import starts
        from voxcli.plugins.clashes import clashes

        loaded = context.plugins
        elsewhere = {id(misfit.plugin) for misfit in loaded.misfits() if misfit.broken}
        elsewhere |= {
            id(one) for clash in clashes(loaded) for one in clash.plugins if isinstance(one.error, ValueError)
        }
        for plugin in loaded.plugins:
            if plugin.state == "broken" and id(plugin) not in elsewhere:
                reason = " ".join(plugin.reason.split())
                yield Finding("error", f"{_who(plugin)} is broken: {reason}", _help(plugin), where=_place(plugin.error))
        for start in starts(loaded):
            plugin = start.plugin
            if plugin.state != "ok":
                continue
            for one in start.components:
                if one["kind"] == "check":
                    continue
                message = f"{_who(plugin)}: the {one['kind']} '{one['name']}' cannot be imported: {one['message']}"
                yield Finding("error", " ".join(message.split()), _component_help(plugin, one), where=one["place"])
            if start.ending:
                what = "its components do" if start.seconds is not None else "it does"
                message = f"{_who(plugin)}: {what} not load in a process of its own: {start.ending}"
                yield Finding("warning", message, f"see for yourself: {_command(plugin)}")


def _who(plugin: Plugin) -> str:
    return (
        f"plugin {plugin.name} ({plugin.distribution} {plugin.version})" if plugin.target else f"plugin {plugin.name}"
    )


def _help(plugin: Plugin) -> str:
    own = plugin.target.partition(":")[0]
    off = f"or VOX_DISABLE_PLUGINS={plugin.name} to go without it"
    error = plugin.error
    if isinstance(error, VoxError) and error.help:
        return f"{error.help}; {off}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        if own == error.name or own.startswith(f"{error.name}."):
            name = plugin.distribution
            return f"its files are gone: `pip install --force-reinstall {name}`, or `pip uninstall {name}`"
        return f"`pip install {error.name.partition('.')[0]}` if that is its name on PyPI, {off}"
    return f"`pip install --upgrade {plugin.distribution}`, {off}"


def _component_help(plugin: Plugin, one: dict[str, str | None]) -> str:
    missing = (one["missing"] or "").partition(".")[0]
    if missing and missing != plugin.target.partition(":")[0].partition(".")[0]:
        return f"`pip install {missing}` if that is its name on PyPI"
    return f"`pip install --upgrade {plugin.distribution}`, or report it there"


def _command(plugin: Plugin) -> str:
    return (
        f"`python -X faulthandler -c 'import {plugin.target.partition(':')[0]}'`" if plugin.target else "run the file"
    )


def _place(error: BaseException | None) -> str:
    """File and line of the innermost code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    ours = ("<frozen", str(Path(importlib.__file__).parent), str(Path(voxcli.__file__).parent))
    own = [frame for frame in frames if not frame.filename.startswith(ours)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
