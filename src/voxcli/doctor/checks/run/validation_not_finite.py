"""T121: an evaluation whose figures are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ValidationNotFinite:
    """An evaluation gave a loss or a score that is not a number.

    Why: a comparison with a number that is none is never true: the best checkpoint is then chosen by chance, or never.
    A CTC loss is infinite as soon as one validation label needs more frames than its audio has; a loss that is nan from
    one evaluation on means that the weights are spoilt.

    Repair: leave the utterances out whose label does not fit (`vox doctor RECIPE` names them), or go back to the
    checkpoint before the weights were spoilt, with a lower learning rate.

    Sources: torch.nn.CTCLoss; measured here: infeasible labels give eval_loss nan in a Trainer's run.
    """

    code: ClassVar[str] = "T121"
    name: ClassVar[str] = "validation-not-finite"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Evaluations with such a figure."""
        import math

        record = context.record
        bad = [one for one in record.evaluations if not all(math.isfinite(value) for value in one.scores.values())]
        if not bad:
            return
        first = bad[0]
        name, value = next((name, value) for name, value in first.scores.items() if not math.isfinite(value))
        since = bad == record.evaluations[-len(bad) :] and len(bad) < len(record.evaluations)
        message = f"step {first.step}: {name} of the validation is {value}"
        if len(bad) > 1:
            message += f", and in {len(bad)} of {len(record.evaluations)} evaluations"
        help = "leave out validation utterances whose label needs more frames than their audio has"
        if since:
            message += ": in all since then"
            help = (
                f"the weights are spoilt since about step {first.step}: take a checkpoint from before, lower the rate"
            )
        yield Finding(
            "error" if bad[-1] is record.evaluations[-1] else "warning", message, help, where=f"step {first.step}"
        )
