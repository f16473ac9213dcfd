"""D071: ids to exclude that no utterance has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ExcludedIdUnknown:
    """The list of `[filter] exclude` names utterances that do not exist.

    Why: what was to be left out is trained on. Ids change with the path of the data, or the list is of another data
    set.

    Repair: ids as `vox train RECIPE --dry-run` and the result files show them.

    Sources: `voxcli.data.corpus`, which compares the list with every split.
    """

    code: ClassVar[str] = "D071"
    name: ClassVar[str] = "excluded-id-unknown"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """What was found when the splits were read."""
        yield from (one for one in context.data.splits.findings if one.path == ("filter", "exclude"))
