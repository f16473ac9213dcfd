"""T118: a long run without an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import LONG_RUN
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class NeverEvaluated:
    """A long run was never evaluated.

    Why: the training loss says how well the clips are known that the model has seen. Without a validation split nobody
    sees over-fitting, and the newest checkpoint is kept instead of the best.

    Repair: `[holdout] validation = 0.05` cuts a split from the training data, equal texts on one side; it begins
    another run.

    Sources: docs/data.md, "Keys of [holdout]".
    """

    code: ClassVar[str] = "T118"
    name: ClassVar[str] = "never-evaluated"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Steps without an evaluation between them."""
        record = context.record
        if record.last_step >= LONG_RUN and not record.evaluations:
            what = f"{record.last_step} steps without an evaluation: nothing says how good the model is"
            yield Finding("note", what, "holdout.validation=0.05 in the next run", where=str(record.log_path))
