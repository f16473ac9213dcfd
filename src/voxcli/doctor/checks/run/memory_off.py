"""T119: measured memory far from the predicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import MEMORY_OFF, MEMORY_OFF_LEAST
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

GIB = 2**30


class MemoryOff:
    """The run took far more or far less memory than was predicted.

    Why: predictions are used to choose batches. Where they are off, a run that should fit may not, or a batch twice as
    large would have fitted.

    Repair: nothing for this run. Its figures are kept, and the next prediction for this device uses them; where they
    are still off, please report it with the two memory entries of log.jsonl.

    Sources: docs/memory.md, "How far it was checked".
    """

    code: ClassVar[str] = "T119"
    name: ClassVar[str] = "memory-off"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """The newest entry that has both."""
        record = context.record
        for entry in reversed(record.memory):
            memory = entry["memory"]
            measured, predicted = memory.get("measured"), memory.get("predicted")
            if not isinstance(measured, dict) or not isinstance(predicted, dict):
                continue
            took = measured.get("process") or (measured.get("reserved") or 0) + (measured.get("beside") or 0)
            needed = predicted.get("needed")
            if not took or not needed or ("process" in measured and max(took, needed) < MEMORY_OFF_LEAST):
                return
            if not 1 / MEMORY_OFF <= took / needed <= MEMORY_OFF:
                yield Finding(
                    "note",
                    f"the run took {took / GIB:.2f} GiB, and {needed / GIB:.2f} GiB were predicted",
                    "nothing has to be done: the next prediction for this device uses what was measured",
                    where=f"step {entry['step']}",
                )
            return
