"""T100: whether the log of a run can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

NAMED = 3


class LogCannotBeRead:
    """The log of a run, or a file beside it, cannot be read or only in part.

    Why: everything that is said of a run comes from its log. A disk that was full, two processes that wrote into one
    folder, or an edit by hand leave lines that are no JSON. The other checks go by what can be read; a last line that
    is cut off is how a killed process ends and is not reported here.

    Repair: take the file from a backup, or remove the lines that are named. A run can go on all the same: `--resume`
    reads the checkpoints, and drops what it cannot read of the log.

    Sources: docs/train.md, "What is in the folder"; transformers' TrainerState for trainer_state.json.
    """

    code: ClassVar[str] = "T100"
    name: ClassVar[str] = "log-cannot-be-read"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Damage by file, and a folder in which no step was logged."""
        record = context.record
        for path in sorted({damage.path for damage in record.damage}):
            here = [damage for damage in record.damage if damage.path == path]
            lines = ", ".join(str(one.line) for one in here[:NAMED] if one.line)
            more = f" and {len(here) - NAMED} more" if len(here) > NAMED else ""
            what = f"{len(here)} of its lines cannot be read: {lines}{more}" if lines else here[0].reason
            whole = not len(record.steps) and path == record.log_path
            yield Finding(
                "error" if whole else "warning",
                f"{path.name}: {what}" + (f" ({here[0].reason})" if lines else ""),
                "take it from a backup, or remove what cannot be read; what is said of this run comes from the rest",
                where=f"{path}:{here[0].line}" if here[0].line else str(path),
            )
        if record.status != "empty" or record.damage:
            return
        where = str(record.log_path)
        if record.checkpoints:
            message = f"{record.log_path.name} holds nothing, and the run has {len(record.checkpoints)} checkpoints"
            help = "take it from a backup; without it nothing can be said of the run. Its checkpoints are not touched"
            yield Finding("warning", message, help, where=where)
        else:
            message = "no step was logged: the run has not begun, or ended before its first step"
            yield Finding("note", message, f"`vox train {record.path} --resume` begins it", where=where)
