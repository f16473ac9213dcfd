"""T102: a run that is not finished."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record


class RunCrashed:
    """The log stops before the run's end, and no process goes on with it.

    Why: a process that is killed (the system's memory, a cluster's time limit, a closed terminal, a power cut) writes
    no end. What came after the newest checkpoint is lost; the rest is not.

    Repair: `vox train RUN --resume` goes on from the newest whole checkpoint with the same batches and the same
    optimizer; with `train.save_steps` smaller, less is lost the next time. SIGTERM, which clusters send, already makes
    a run write a checkpoint first.

    Sources: docs/train.md, "Ctrl-C, crashes, resume"; measured here: a run ended by SIGKILL leaves a session without an
    end in log.jsonl. transformers: Trainer.train(resume_from_checkpoint=True).
    """

    code: ClassVar[str] = "T102"
    name: ClassVar[str] = "run-crashed"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """A run without an end; a running one is only described."""
        record = context.record
        of, at = record.total_steps, record.last_step
        where = str(record.log_path)
        reached = f"step {at} of {of}" if of else f"step {at}"
        if record.trainer:
            yield from _of_trainer(record, reached)
        elif record.status == "crashed":
            yield Finding(
                "error", f"the run ended without a word at {reached}{_lost(record)}", _resume(record), where=where
            )
        elif record.status == "interrupted":
            yield Finding("note", f"the run was interrupted at {reached}", _resume(record), where=where)
        elif record.status == "running":
            what = f"the run is at {reached} and goes on: what is said of it is not final"
            yield Finding("note", what, "ask again when it has come to its end", where=where)
        before = len(record.sessions) - len(record.ends) - (record.status in ("crashed", "running"))
        if before > 0 and record.sessions:
            times = "once" if before == 1 else f"{before} times"
            message = f"the run crashed {times} and went on from a checkpoint: nothing of what is in the log is lost"
            yield Finding("note", message, "nothing has to be done", where=where)


def _of_trainer(record: Record, reached: str) -> Iterator[Finding]:
    from voxcli.doctor.run.trainer_log import could_be_over, of_checkpoint

    stopped = record.state.get("stateful_callbacks")
    early = isinstance(stopped, dict) and any("EarlyStopping" in str(key) for key in stopped)
    if early or record.status not in ("crashed", "running") or of_checkpoint(record) or could_be_over(record):
        return
    message = f"the log of the Trainer stops at {reached}, and nothing was written since"
    help = "trainer.train(resume_from_checkpoint=True) goes on from the newest checkpoint"
    if record.status == "crashed":
        yield Finding("warning", message, help, where=str(record.log_path))
    else:
        message = f"the log of the Trainer is at {reached}: it goes on, or it has just been ended"
        yield Finding("note", message, f"if it was ended: {help}", where=str(record.log_path))


def _lost(record: Record) -> str:
    whole = [one.step for one in record.checkpoints if one.problem is None]
    lost = record.last_step - max(whole, default=0)
    if not whole:
        return ", before its first checkpoint: it has to begin anew"
    return f"; the newest checkpoint is of step {max(whole)}" + (f", {lost} steps are lost" if lost > 0 else "")


def _resume(record: Record) -> str:
    whole = any(one.problem is None for one in record.checkpoints)
    what = "goes on from the newest checkpoint" if whole else "begins it anew, smaller train.save_steps lose less"
    return f"`vox train {record.path} --resume` {what}"
