"""T123: a run that ended with an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class RunEndedWithError:
    """The run ended with an error.

    Why: what is on disk is the state of the last checkpoint; the error says what has to change before the run can go
    on. Errors of memory (T101) and of losses that are not finite (T103) have checks of their own.

    Repair: as the error says; `vox train RUN --resume` then goes on from the newest checkpoint, unless the recipe had
    to change.

    Sources: docs/train.md, "When it stops"; the end entry of log.jsonl.
    """

    code: ClassVar[str] = "T123"
    name: ClassVar[str] = "run-ended-with-error"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """The error of the newest end."""
        from voxcli.doctor.checks.run.memory_exhausted import WORDS

        record = context.record
        error = record.ends[-1].get("error") if record.status == "error" and record.ends else None
        if record.status != "error" or any(
            one.get("incident") in ("loss", "gradient") and one["step"] > record.last_step for one in record.incidents
        ):
            return
        table = error if isinstance(error, dict) else {}
        said = str(table.get("message") or "nothing was written down of it")
        if any(word in f"{table.get('type')} {said}".lower() for word in WORDS):
            return
        full = "disk is full" in said.lower() or "no space left" in said.lower()
        help = table.get("help") or (
            "make room on that disk" if full else "repair what it names, look at the last lines on the screen"
        )
        collapsed = "the pre-training has collapsed" in said  # going on is of no use
        yield Finding(
            "error",
            f"the run ended with an error after step {record.last_step}: {said.splitlines()[0] if said else said}",
            help if collapsed else f"{help}; `vox train {record.path} --resume` then goes on",
            utterances=tuple(str(one) for one in table.get("utterances") or ()),
            where=str(record.log_path),
        )
