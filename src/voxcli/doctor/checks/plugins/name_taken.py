"""P003: two plugins that claim one name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class NameTaken:
    """Two plugins offer a component, a check or a module of the same name.

    Why: a recipe that says `type = "tones"` means neither of them, and is refused until it says which; where one of the
    two is voxcli's own, or that of a plugin file, the bare name means that one and never the installed plugin. Of two
    modules with one name Python imports whichever stands first on its path, so one plugin would run the other's code.
    Two checks with one code cannot be told apart by `--only`, `--skip` and `vox explain`.

    Repair: name the distribution in the recipe (`type = "vox-tones/tones"`), or uninstall one of the two.

    Sources: packaging.python.org, "Entry points specification" (names are not unique); pluggy, PluginManager.register.
    """

    code: ClassVar[str] = "P003"
    name: ClassVar[str] = "name-taken"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """What the registry refuses to choose between, and codes of checks."""
        from voxcli.doctor.known import known
        from voxcli.plugins.clashes import clashes

        for clash in clashes(context.plugins):
            yield Finding("note" if clash.harmless else "warning", clash.message, clash.help)
        codes: dict[str, list[str]] = {}
        for check, one in known(context.plugins):
            codes.setdefault(check.code, []).append(f"{one.distribution} {one.version} ({check.name})")
        for code, who in codes.items():
            if len(who) > 1:
                message = f"{' and '.join(who)} have checks of the code {code}"
                yield Finding("warning", message, "a plugin's codes begin with letters of its own, for example ACME001")
