"""Plugins -> what two of them claim for themselves: a component's name, a module.

What `vox plugins list` and `vox doctor` say about it is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.plugins.manager import Manager, Plugin


@dataclass(frozen=True)
class Clash:
    """One name that several claim."""

    message: str
    help: str
    plugins: tuple[Plugin, ...] = ()
    """Those that bring one module; empty where the name is a component's."""
    harmless: bool = False


def clashes(loaded: Manager) -> Iterator[Clash]:
    """Components of one name, then modules, then plugins, then commands."""
    for offers in loaded.registry.clashes():
        kind, name = offers[0].kind, offers[0].name
        who = _both(f"{one.distribution} {one.version}" for one in offers)
        choices = " or ".join(f'type = "{loaded.registry.called(one)}"' for one in offers)
        choose = "both are made" if kind == "check" else f"choose with {choices}"
        yield Clash(f"{who} offer the {kind} '{name}'", choose)
    by_module: dict[str, list[Plugin]] = {}
    by_name: dict[str, list[Plugin]] = {}
    for plugin in loaded.plugins:
        if plugin.target and plugin.state not in ("disabled", "held"):
            by_module.setdefault(plugin.target, []).append(plugin)
            by_name.setdefault(plugin.name, []).append(plugin)
    for target, group in by_module.items():
        if len({plugin.distribution for plugin in group}) > 1:
            who = _both(f"{plugin.distribution} {plugin.version}" for plugin in group)
            message = f"{who} bring the module '{target.partition(':')[0]}', and Python imports the first that it finds"
            uninstall = " or ".join(f"`pip uninstall {plugin.distribution}`" for plugin in group)
            yield Clash(message, f"keep one of them: {uninstall}", tuple(group))
    for name, group in by_name.items():
        if len({plugin.target for plugin in group}) > 1:
            who = _both(f"{plugin.distribution} {plugin.version}" for plugin in group)
            message = f"{who} call a plugin '{name}'"
            yield Clash(message, "VOX_DISABLE_PLUGINS tells them apart by their distributions", harmless=True)

    by_command: dict[str, list[Plugin]] = {}
    for plugin in loaded.plugins:
        for name in plugin.look.commands if plugin.look is not None and plugin.state == "ok" else ():
            by_command.setdefault(name, []).append(plugin)
    for name, group in by_command.items():
        if len(group) > 1:
            who = _both(f"{plugin.distribution} {plugin.version}" for plugin in group)
            help = f"`vox {name}` is that of {group[0].distribution}; `vox plugins disable` switches one of them off"
            yield Clash(f"{who} add a command '{name}'", help)


def _both(names: Iterator[str]) -> str:
    listed = list(names)
    return f"{' and '.join(listed)} both" if len(listed) == 2 else f"{', '.join(listed)} all"
