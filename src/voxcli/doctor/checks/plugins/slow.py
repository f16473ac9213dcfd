"""P002: plugins that import torch and the like, or take long, when they are imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SLOW_START
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.machine.starts import Start


class PluginSlow:
    """A plugin imports heavy libraries, or takes long, when it is imported.

    Why: commands that need nothing of a plugin do not import it. Every other one does: each of its own commands, even
    for its help, and `vox train` where it listens to runs. One `import torch` at the top of its module makes all of
    them wait for seconds, and the first command after its installation waits a second for the look at it. Each plugin
    is timed in a process of its own, because another one may have imported the same library before it; the chain names
    the line.

    Repair: the import belongs into the method that needs it, or into a module of its own that `registry.add` names:
    components are imported when a recipe asks for them.

    Sources: simonw/llm#732 (`--help` from 1.3 s to 10.7 s with plugins), #848; dreem PR #168 (134 s to 0.28 s); the
    libraries that count: voxcli.plugins.looks.watching. Measured here: see the threshold.
    """

    code: ClassVar[str] = "P002"
    name: ClassVar[str] = "plugin-slow"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """One finding for each plugin, with the milliseconds of each library."""
        from voxcli.doctor.machine.starts import starts

        for start in starts(context.plugins):
            if start.heavy:
                yield _heavy(start)
            elif start.seconds is not None and start.seconds >= SLOW_START:
                message = f"plugin {start.plugin.name} takes {1000 * start.seconds:,.0f} ms to import"
                help = "`python -X importtime -c 'import MODULE'` shows where they go"
                yield Finding("warning", message, help.replace("MODULE", start.plugin.target.partition(":")[0]))


def _heavy(start: Start) -> Finding:
    costs = " and ".join(f"{one.module} ({1000 * one.seconds:,.0f} ms)" for one in start.heavy)
    first = start.heavy[0]
    message = f"plugin {start.plugin.name} imports {costs} before any of it is used"
    chain = " -> ".join([*first.chain, first.module])
    help = "import it in the method that needs it, or move the component into a module of its own"
    return Finding("warning", message, help, where=chain)
