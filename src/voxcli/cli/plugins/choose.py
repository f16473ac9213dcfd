"""`vox plugins disable` and `enable`: which of the installed plugins run, kept for every command from now on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli import console
from voxcli.errors import PluginError, UsageError

if TYPE_CHECKING:
    from voxcli.plugins.manager import Plugin

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Plugins, or the distributions that bring them.")]


def disable(names: Names) -> None:
    """Leave plugins out until they are enabled again."""
    from voxcli.plugins import choices

    for plugin in _installed(names):
        choices.disable(choices.key(plugin.distribution, plugin.name))
        console.write(
            f"{_who(plugin)} is disabled: nothing of it runs. `vox plugins enable {plugin.name}` takes it back"
        )


def enable(names: Names) -> None:
    """Let plugins run that were disabled or held.

    Held is what came as a dependency of something else, and nobody asked for.
    """
    from voxcli.plugins import choices

    for plugin in _installed(names):
        choices.enable(choices.key(plugin.distribution, plugin.name))
        left_out = choices.disabled_now() & {"all", choices.same(plugin.name), choices.same(plugin.distribution)}
        if left_out:
            console.say(f"warning: {choices.DISABLE_VARIABLE} still leaves it out")
        console.write(f"{_who(plugin)} is enabled")


def _installed(names: Sequence[str]) -> list[Plugin]:
    """The plugins of these names. Raises before anything is changed."""
    from voxcli.plugins.find import plugins_called
    from voxcli.plugins.locking import is_builtin
    from voxcli.plugins.manager import manager

    found: list[Plugin] = []
    for name in names:
        for plugin in plugins_called(manager().plugins, name):
            if is_builtin(plugin):
                raise UsageError("voxcli's own components cannot be left out", help="name a plugin: `vox plugins list`")
            if plugin.file is not None:
                raise PluginError(f"{plugin.file} is a file", help="leave `--plugin` out")
            found.append(plugin)
    return found


def _who(plugin: Plugin) -> str:
    return f"plugin {plugin.name} ({plugin.distribution} {plugin.version})"
