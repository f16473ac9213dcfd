"""R131: keys of `[filter]` and `[holdout]` that the data leave without effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.recipe.keys import without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DataKeyWithoutEffect:
    """`[filter] languages` for data that name no language, or `[holdout]` for a split that the data have.

    Why: an utterance without a language is kept, whatever `languages` says: a mixed data set without the column is
    learned whole. `[holdout]` cuts a split only where no data set has one; where there is one, the share is not cut and
    the training split keeps it.

    Repair: `language_column` or `language` in [[data]]; remove the share.

    Sources: voxcli.data.filters and voxcli.data.holdout.
    """

    code: ClassVar[str] = "R131"
    name: ClassVar[str] = "data-key-without-effect"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """From the columns of the index."""
        recipe = context.recipe
        if recipe.filter.languages is not None:
            table = context.data.listed("train")
            column = table.column("language").array
            if len(table) and column.null_count == len(column):
                help = "name the column or the language in [[data]], or remove languages"
                yield without_effect("filter", ["languages"], "no utterance has a language", help=help)
        for split in ("validation", "test"):
            share = getattr(recipe.holdout, split)
            if share > 0 and (count := len(context.data.listed(split))):
                yield without_effect("holdout", [split], f"the data have a {split} split of {count} utterances")
