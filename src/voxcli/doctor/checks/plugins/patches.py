"""P007: plugins that replace functions of other libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

SHOWN = 5  # names; `vox plugins info` has all of them


class PluginPatches:
    """Importing a plugin replaces functions or methods of other libraries.

    Why: from then on torch, numpy or Python itself do something else in the whole process: losses, scores and what the
    other plugins do may change, and nothing in the recipe says so. Commands that need nothing of the plugin are safe,
    because they do not import it; a run that listens to it, or names a component of it, is not. What libraries replace
    in each other (ray in logging, torch in typing) is not counted.

    Repair: report it to the author: a function of its own, or a subclass, does the same for those who ask for it.
    `vox plugins disable NAME` switches the plugin off.

    Sources: docs.python.org, "Modules" and sys.modules: a module is one object, and whoever changes it changes it for
    all; looked at here by importing the plugin in a process of its own and comparing all modules before and after.
    """

    code: ClassVar[str] = "P007"
    name: ClassVar[str] = "plugin-patches"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """One finding for each plugin, with the names that it replaces."""
        for plugin in context.plugins.plugins:
            if plugin.state != "ok" or plugin.look is None or not plugin.look.patched:
                continue
            names = list(plugin.look.patched)
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            message = f"{plugin.title} replaces {', '.join(names[:SHOWN])}{more} when it is imported"
            help = f"`vox plugins disable {plugin.name}` unless you want that in every run that uses it"
            yield Finding("warning", message, help, where=plugin.look.origin)
