"""What `vox_commands` of a plugin added -> commands by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from voxcli.plugins.hooks import PROJECT

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
WIDTH = 80  # characters of a command's line in `vox --help`


@dataclass(frozen=True)
class Added:
    """One command, or why it cannot be used."""

    name: str
    command: Any
    """A click command; None where it cannot be built."""
    reason: str = ""

    @property
    def help(self) -> str:
        """Its line in `vox --help`."""
        return str(self.command.get_short_help_str(WIDTH)) if self.command is not None else ""


def command_of(name: str, target: Any, **settings: Any) -> Any:
    """The command that a function, or a `typer.Typer` of several, stands for."""
    if isinstance(target, typer.Typer):
        target.info.context_settings = SETTINGS
        target.rich_markup_mode = None
        command = typer.main.get_group(target)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, context_settings=SETTINGS, **settings)(target)
        command = typer.main.get_command(app)  # type: ignore[assignment]
    command.name = name
    return command


def commands_of(module: Any) -> list[Added]:
    """What the `vox_commands` of a module adds; nothing where it has none. Raises what the hook raises."""
    hook: Any = getattr(module, "vox_commands", None)
    if not hasattr(hook, f"{PROJECT}_impl"):
        return []
    app = typer.Typer()
    takes = inspect.signature(hook).parameters
    hook(**({"app": app} if "app" in takes else {}))  # a hook may leave out arguments (pluggy's rule)
    return list(added(app))


def added(app: typer.Typer) -> Iterator[Added]:
    """Every command that was added to `app`."""
    infos: list[Any] = [*app.registered_commands, *app.registered_groups]
    for info in infos:
        target: Any = getattr(info, "typer_instance", None) or getattr(info, "callback", None)
        name = ""
        try:
            of_group = getattr(getattr(target, "info", None), "name", None)
            name = info.name or of_group or target.__name__.replace("_", "-")
            yield Added(name, command_of(name, target))
        except Exception as error:  # third-party code: its other commands are still there
            where = getattr(target, "__module__", None) or "it"
            yield Added(name or str(where), None, f"{type(error).__name__}: {error}")
