"""P008: plugins that came as a dependency and do not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class PluginHeld:
    """A plugin is installed and nobody asked for it: it is held and none of its code runs.

    Why: whatever is installed may bring plugins along, and a plugin runs with all rights of the user. pip writes down
    which distributions were asked for by name (the file REQUESTED beside their metadata); one that came as a dependency
    of something else has none, and is neither imported nor looked at. Asking pip for it afterwards writes nothing where
    it is installed already. uv writes REQUESTED for everything it installs, so that nothing can be held there.

    Repair: `vox plugins enable NAME` if you want it, which is remembered; nothing otherwise.

    Sources: PEP 376 and packaging.python.org, "Recording installed projects" (REQUESTED, INSTALLER); what pip 23.2 and
    uv 0.13 write was tried here.
    """

    code: ClassVar[str] = "P008"
    name: ClassVar[str] = "plugin-held"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """One finding for each plugin."""
        from voxcli.plugins.known import repair_of

        for plugin in context.plugins.plugins:
            if plugin.state == "held":
                yield Finding(
                    "note", f"{plugin.title} is held: {plugin.reason}", repair_of(plugin), where=plugin.folder
                )
