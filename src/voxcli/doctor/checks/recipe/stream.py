"""R123: a stream that nothing ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class StreamWithoutEnd:
    """A data set is streamed without `take`, and `max_steps` does not say when the run is over.

    Why: such a data set is not listed before training: it is read on and on, a window of `buffer_size` rows after the
    other, and begins anew where it ends. How many rows it has nobody knows, so that epochs cannot be counted, nor a
    share of it be set aside by [holdout]; a vocabulary or classes that are those of the data are not known either.

    Repair: `max_steps` in [train]; or `take = 10000` in [[data]], which keeps the first rows of each part in the cache
    and trains on them like on any data set.

    Sources: voxcli.data.windows; transformers issue 26413 and datasets issue 5773 (an iterable data set needs
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
            if recipe.train.max_steps is None:
                yield Finding(
                    "error",
                    f"{table.get('path')} is streamed without an end: no take, and the run has no max_steps",
                    "max_steps in [train]; or take = 10000 in [[data]], or streaming = false",
                    path=("data", index, "streaming"),
                )
