"""D100: data that cannot be read at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DataUnreadable:
    """The data cannot be read, or nothing is left to train on.

    Why: a source is missing, has no column for the audio, or is in another format than the recipe says; or every
    utterance of the training split is left out, for the reasons that the message counts.

    Repair: what the message says; the path and `type` of `[[data]]`, or the rule of `[filter]` that it names.

    Sources: `voxcli.data.corpus`, which raises the same error in `vox train`.
    """

    code: ClassVar[str] = "D100"
    name: ClassVar[str] = "data-unreadable"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Opening the data says it: a finding of the context."""
        context.data.splits  # noqa: B018
        yield from ()
