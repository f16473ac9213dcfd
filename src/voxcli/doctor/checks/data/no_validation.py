"""D073: no validation split, or a poor one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class NoValidation:
    """There is no validation split, or `[holdout]` made a poor one.

    Why: without one nobody sees when a model begins to know its training data by heart, there is no best checkpoint
    and no early stopping.

    Repair: `[holdout] validation = 0.05` sets a twentieth of the training split aside, equal texts on one side.

    Sources: `voxcli.data.holdout`; early stopping, Prechelt 1998.
    """

    code: ClassVar[str] = "D073"
    name: ClassVar[str] = "no-validation"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """The splits as a run would use them; keys that need the split are told among those of recipes."""
        data = context.data
        yield from (one for one in data.splits.findings if one.path[:1] == ("holdout",))
        if "data" in context.subject.kinds or len(data.used("validation")) or len(data.listed("validation")):
            return
        yield Finding(
            "note", "there is no validation split: no best checkpoint is chosen", "[holdout] validation = 0.05"
        )
