"""R134: a patience that outlasts the run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class PatienceOutlastsRun:
    """`early_stopping_patience` is as long as the run has evaluations, so it never stops anything.

    Why: a run stops after so many evaluations in a row without a better metric; the first one is always the best so
    far. With no more evaluations than the patience the run always goes to its end.

    Repair: a smaller patience, or evaluations in shorter distances (`eval_steps`).

    Sources: voxcli.train.run; voxcli.train.schedule: without `eval_steps` a run has at most ten evaluations.
    """

    code: ClassVar[str] = "R134"
    name: ClassVar[str] = "patience-outlasts-run"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe where it names both lengths, else with the ten that there are at most."""
        from voxcli.train.schedule import MOST_EVALUATIONS

        train = context.recipe.train
        patience = train.early_stopping_patience
        if patience is None:
            return
        if train.eval_steps is None:
            evaluations = MOST_EVALUATIONS
        elif train.max_steps is not None:
            evaluations = math.ceil(train.max_steps / train.eval_steps)
        else:
            return
        if evaluations > patience:
            return
        most = max(evaluations // 2, 1)
        changes: dict[str, object] = {"train.early_stopping_patience": most if evaluations > most else None}
        yield Finding(
            "warning",
            f"early_stopping_patience = {patience} never stops a run of {evaluations} evaluation"
            f"{'s' if evaluations > 1 else ''}",
            f"early_stopping_patience = {most}, or a smaller eval_steps",
            path=("train", "early_stopping_patience"),
            fix=Fix(changes),
        )
