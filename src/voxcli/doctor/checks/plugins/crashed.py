"""P006: a check that fails itself. The findings come from `voxcli.doctor.examine`; here is what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CheckCrashed:
    """A check fails, cannot be imported, or is none.

    Why: what it looks for is then not known. The other checks go on: one defect, of voxcli or of a plugin, must not
    cost the whole diagnosis. The finding names the check, the distribution that brings it with its version, and the
    line that raised.

    Repair: update that distribution, or report it there with `vox doctor --report`; `--skip CODE` leaves the check out.

    Sources: conda's health checks, which are plugins as well, go on in the same way.
    """

    code: ClassVar[str] = "P006"
    name: ClassVar[str] = "check-crashed"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """Nothing: whoever makes the checks notices it."""
        yield from ()
