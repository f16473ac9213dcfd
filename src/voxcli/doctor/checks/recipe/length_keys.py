"""R130: two lengths of one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.recipe.keys import without_effect
from voxcli.findings import About
from voxcli.recipe.where import Place

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LengthSetTwice:
    """`max_steps` and `num_train_epochs` stand in one file, and only the first decides.

    Why: a run of `max_steps = 500` and `num_train_epochs = 3` takes 500 steps, which may be a tenth of an epoch or
    twenty. Where a preset brings the one and the recipe or the command line the other, that is how presets are used,
    and nothing is said.

    Repair: remove `num_train_epochs`, or `max_steps` where passes over the data are meant.

    Sources: voxcli.train.schedule.length, as transformers' TrainingArguments.
    """

    code: ClassVar[str] = "R130"
    name: ClassVar[str] = "length-set-twice"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone; that of a run names every key, so it is passed over."""
        train = context.recipe.train
        if train.max_steps is None or train.num_train_epochs is None:
            return
        places = context.places or dict(context.recipe.places)
        files = {_file(places.get(("train", name))) for name in ("max_steps", "num_train_epochs")}
        file = next(iter(files))
        if len(files) == 1 and file is not None and not (file.parent / "lock.json").is_file():
            why = f"max_steps = {train.max_steps} decides how long the run is"
            yield without_effect("train", ["num_train_epochs"], why)


def _file(place: Place | None) -> Path | None:
    return place.path if place is not None and place.origin == "file" else None
