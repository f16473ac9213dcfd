"""What `vox train` does first: the checks of `vox doctor` that take milliseconds; an error ends the command."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from voxcli.cli import console
from voxcli.errors import RecipeError
from voxcli.progress import NULL, Bar, Progress
from voxcli.recipe.where import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxcli.api import Split
    from voxcli.data.corpus import Splits
    from voxcli.data.table import Table
    from voxcli.doctor.data.utterances import Data
    from voxcli.findings import Finding
    from voxcli.recipe.resolve import Recipe

GO_ON = "--no-doctor trains all the same; `vox doctor` looks at more, and `vox explain CODE` says why"


def check(recipe: Recipe, *, resume: bool, progress: Progress = NULL) -> Mapping[Split, Table]:
    """Say on stderr what the checks find; the splits that they have read, which training need not read again.

    Raises `RecipeError` for errors; a run that is resumed only hears of them.

    What cannot be opened (a model, a data set), and what reading the data says, is not said here: training opens them
    next and says so itself.
    """
    from voxcli.doctor.context import Context
    from voxcli.doctor.examine import Examination, examine
    from voxcli.doctor.stages import with_stages

    context = Context.of_recipe(recipe, training=True, progress=_Listing(progress))
    report = with_stages(examine(context), lambda one, abouts: Examination(one, abouts=abouts).run())
    splits: Splits | None = context.opened("splits")
    told = {one.message for one in (*recipe.warnings, *(splits.findings if splits is not None else ()))}
    found = [one for one in report.findings if one not in context.findings]
    found = [one for one in found if one.level == "error" or one.message not in told]
    errors = [one for one in found if one.level == "error"]
    if errors and not resume:
        _say([one for one in found if one.level != "error"], recipe)
        count = len(errors)
        message = f"{recipe.name}: {count} error{'s' if count > 1 else ''} before anything was spent"
        raise RecipeError(message, help=GO_ON, findings=errors, places=recipe.places)
    _say([dataclasses.replace(one, level="warning") if one.level == "error" else one for one in found], recipe)
    if recipe.parts[0].tables["data"] != recipe.parts[-1].tables["data"]:
        return {}  # what was read is what the last stage reads
    data: Data | None = context.opened("data")
    return data.read if data is not None else {}


class _Listing:
    """The progress of reading the data; how far the checks are is nothing to wait for."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, text: str) -> None:
        """Nothing: training says it next."""

    def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
        """All but the bar of the checks."""
        return (NULL if unit == "checks" else self._progress).task(description, total=total, unit=unit)


def _say(found: list[Finding], recipe: Recipe) -> None:
    """A line for each finding, and one for its repair."""
    for one in found:
        place = nearest(recipe.places, one.path) if one.path else None
        where = one.where or (str(place) if place is not None else "")
        console.say(f"{one.level}[{one.code}]: {one.message}" + (f" ({where})" if where else ""))
        if one.help and one.level != "note":
            console.say(f"   = help: {one.help}")
