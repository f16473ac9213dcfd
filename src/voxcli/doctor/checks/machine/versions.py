"""M011: installed versions against what voxcli asks for."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class VersionOutsideRange:
    """A library that voxcli needs is missing, or its version is outside the range that voxcli was made for.

    Why: pip installs what the next package asks for, and only mentions that another one does not like it. transformers
    4 has other arguments than 5; a setting that is then ignored without a word costs more than an error.

    Repair: the command in the finding; a fresh environment where packages ask for versions that exclude each other.

    Sources: voxcli's own metadata (`pip show voxcli`); packaging.python.org, "Version specifiers".
    """

    code: ClassVar[str] = "M011"
    name: ClassVar[str] = "version-outside-range"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """An error for what is missing: its import fails."""
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.specifiers import SpecifierSet

        from voxcli.doctor.machine.facts import version

        try:
            mine: Any = metadata.metadata("voxcli")  # a message of the email package
        except metadata.PackageNotFoundError:  # run from a source tree that was never installed
            return
        python = SpecifierSet(mine.get("Requires-Python") or "")
        if not python.contains(platform.python_version(), prereleases=True):
            message = f"Python {platform.python_version()} is running, and voxcli needs {python}"
            yield Finding("error", message, f"an environment with Python {python}")
        extras = mine.get_all("Provides-Extra") or ()
        for line in mine.get_all("Requires-Dist") or ():
            try:
                asked = Requirement(line)
            except InvalidRequirement:
                continue
            needed = [extra for extra in ("", *extras) if not asked.marker or asked.marker.evaluate({"extra": extra})]
            if not needed:
                continue  # of another platform
            found = version(asked.name)
            wanted = f'`pip install "{asked.name}{asked.specifier}"`'
            if found is None:
                if "" in needed:
                    yield Finding("error", f"{asked.name} is not installed, and voxcli needs it", wanted)
            elif not asked.specifier.contains(found, prereleases=True):
                message = f"{asked.name} {found} is installed, and voxcli was made for {asked.specifier}"
                yield Finding("warning", message, wanted)
