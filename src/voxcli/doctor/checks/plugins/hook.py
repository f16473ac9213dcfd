"""P005: functions that were meant to be hooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class HookMisspelled:
    """A plugin has a function that was meant to be a hook of voxcli and is never called.

    Why: a hook is found by its name and its mark. One letter more or less, a forgotten @hookimpl, and the function is
    there, the plugin loads, and the tracker stays empty for the whole run. An argument that the hook does not have is
    refused, and the whole plugin with it: arguments are given by name.

    Repair: the name in the finding; @hookimpl above it; only arguments that the hook has, in any order.

    Sources: pluggy.readthedocs.io, "Call-time order" and "Opt-in arguments", `check_pending`; the hooks:
    voxcli.plugins.hooks.
    """

    code: ClassVar[str] = "P005"
    name: ClassVar[str] = "hook-misspelled"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """An error where the plugin is refused for it."""
        for misfit in context.plugins.misfits():
            level: Any = "error" if misfit.broken else "warning"
            yield Finding(level, misfit.message, misfit.help, where=misfit.place)
