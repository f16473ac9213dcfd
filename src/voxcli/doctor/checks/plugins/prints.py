"""P009: plugins that print when they are imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

SHOWN = 60  # characters


class PluginPrints:
    """A plugin writes to the screen when it is imported.

    Why: results of `vox` stand on stdout, and a script that reads them must not meet a greeting. What a plugin prints
    while it is imported is sent to stderr instead, where it stands before everything else that the command says.

    Repair: report it to the author: `logging.getLogger(__name__)` is quiet unless somebody listens.

    Sources: docs.python.org, "Logging HOWTO", "Configuring Logging for a Library".
    """

    code: ClassVar[str] = "P009"
    name: ClassVar[str] = "plugin-prints"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """One finding for each plugin, with the beginning of what it prints."""
        for plugin in context.plugins.plugins:
            if plugin.state == "ok" and plugin.look is not None and plugin.look.printed:
                said = plugin.look.printed
                shown = said if len(said) <= SHOWN else f"{said[:SHOWN]}…"
                message = f"{plugin.title} prints when it is imported: {shown!r}"
                yield Finding("note", message, "report it to the author", where=plugin.look.origin)
