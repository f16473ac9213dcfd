"""R123: a stream that nothing ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class StreamWithoutEnd:
    """A data set is streamed, and neither `take` nor `max_steps` says how much of it is wanted.

    Why: voxcli draws utterances in any order and again in each epoch, so the rows of a stream are fetched and kept
    before the first step. Without `take` that is the whole data set, row by row, which begins anew when it is
    interrupted; and with `num_train_epochs` alone nobody knows how many steps the run has before the last row is here.

    Repair: `take = 10000` in [[data]] (the first rows of each part), or without streaming; and
    `max_steps` in [train].

    Sources: voxcli.datasets.streamed; transformers issue 26413 and datasets issue 5773 (an iterable data set needs
    max_steps).
    """

    code: ClassVar[str] = "R123"
    name: ClassVar[str] = "stream-without-end"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone."""
        recipe = context.recipe
        for index, table in enumerate(recipe.tables["data"]):
            if not table.get("streaming") or table.get("take") is not None:
                continue
            local = Path(str(table.get("path", ""))).expanduser().exists()
            if recipe.train.max_steps is None:
                yield Finding(
                    "warning",
                    f"{table.get('path')} is streamed without an end: no take, and the run has no max_steps",
                    "take = 10000 in [[data]], and max_steps in [train]; or streaming = false",
                    path=("data", index, "streaming"),
                )
            elif not local:
                yield Finding(
                    "note",
                    f"{table.get('path')} is streamed without `take`: every row is fetched and kept before the first "
                    "step",
                    "take = 10000 in [[data]]",
                    path=("data", index, "streaming"),
                )
