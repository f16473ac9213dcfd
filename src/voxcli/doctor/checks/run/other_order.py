"""T115: a resume after which the data came in another order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import BATCHES_CHANGED
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record


class DataOrderChanged:
    """After a resume the data came in another order than before.

    Why: a resumed run skips what its epoch has seen already. Where the batches are others (other data, another number
    of processes, another batch size) it skips something else: some clips come twice in that pass, others not at all,
    and the run is not the one that it would have been. Its loss is not comparable across that step.

    Repair: resume with the same data, as many processes and the same batch size; else begin another run from the
    checkpoint (`model.checkpoint = "RUN/best"`).

    Sources: accelerate issue 2016, transformers 17157, 22143 and 11284, meta-pytorch/data 1113. log.jsonl: `order` of a
    session.
    """

    code: ClassVar[str] = "T115"
    name: ClassVar[str] = "data-order-changed"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Sessions with one epoch and two orders; steps that were logged twice; epochs of another length."""
        record = context.record
        help = "resume with the same data, processes and batch size, or begin another run from the checkpoint"
        first: dict[object, dict[str, object]] = {}
        for entry in record.sessions:
            session = entry["session"]
            epoch, order = session.get("epoch"), session.get("order")
            if order is None:
                continue
            before = first.setdefault(epoch, session)
            if before.get("order") == order:
                continue
            why = "the data or the batches are others"
            if before.get("world") != session.get("world"):
                why = f"{before.get('world')} processes before, {session.get('world')} since"
            message = f"the run was resumed at step {entry['step']} with another order of epoch {epoch}: {why}"
            yield Finding("warning", message, help, where=f"step {entry['step']}")
            return
        if record.jumps:
            at, then = record.jumps[0]
            message = f"the log goes back from step {at} to step {then}: these steps were taken twice, in two sessions"
            yield Finding(
                "warning", message, "let one process at a time write into a folder; " + help, where=f"step {then}"
            )
            return
        yield from _of_epochs(record, help)


def _of_epochs(record: Record, help: str) -> Iterator[Finding]:
    """A Trainer's log knows no sessions, but how many steps an epoch has."""
    import numpy as np

    epoch = record.column("epoch")
    fine = np.isfinite(epoch)
    steps, epoch = record.steps[fine], epoch[fine]
    if not record.trainer or len(steps) < 8:
        return
    back = np.flatnonzero(np.diff(epoch) < 0)
    if len(back):
        step = int(steps[back[0] + 1])
        message = f"the epoch goes back from {epoch[back[0]]:.2f} to {epoch[back[0] + 1]:.2f} at step {step}"
        yield Finding("warning", message + ": the data began anew there", help, where=f"step {step}")
        return
    rate = np.diff(epoch) / np.diff(steps)
    rate = rate[rate > 0]
    if len(rate) < 8:
        return
    quarter = max(2, len(rate) // 4)
    early, late = float(np.median(rate[:quarter])), float(np.median(rate[-quarter:]))
    steady = [
        np.abs(part / np.median(part) - 1).max() < BATCHES_CHANGED / 2 for part in (rate[:quarter], rate[-quarter:])
    ]
    if all(steady) and abs(late / early - 1) > BATCHES_CHANGED:
        change = np.argmax(np.abs(rate / early - 1) > BATCHES_CHANGED / 2)
        step = int(steps[min(int(change), len(steps) - 1)])
        message = f"an epoch has {1 / early:.0f} steps before step {step} and {1 / late:.0f} after it"
        yield Finding("warning", f"{message}: the batches are others since a resume", help, where=f"step {step}")
