"""R100: what resolving the recipe has said, with what a run would not begin with as an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About
from voxcli.recipe.where import dotted

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_MISSING = "R017"
_OUTPUT_LAYER = "adapter.modules_to_save"  # R019: by default the output layer is trained whole


class RecipeDoesNotResolve:
    """The recipe has problems of its own: keys that do not exist, values out of range, sections that exclude each
    other, paths that are not there.

    Why: such a recipe does not begin, or not as it says. These are the findings R001 to R020 of `vox recipe check`,
    shown here under their own numbers. A path that does not exist (R017) is a warning where a recipe is only read; a
    run needs it, so it is an error here.

    Repair: each finding names the key, its line and what is known instead.

    Sources: docs/recipe.md, problems by number.
    """

    code: ClassVar[str] = "R100"
    name: ClassVar[str] = "recipe-does-not-resolve"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """Errors are told by the context, where the recipe is opened; this tells the rest."""
        for finding in context.recipe.warnings:
            level = "error" if finding.code == _MISSING else finding.level
            help = finding.help or "see `vox recipe check`"
            fix = Fix({_OUTPUT_LAYER: None}) if dotted(finding.path) == _OUTPUT_LAYER else finding.fix
            yield dataclasses.replace(finding, level=level, help=help, fix=fix)
