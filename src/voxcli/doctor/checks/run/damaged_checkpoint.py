"""T122: checkpoints of a run that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CheckpointDamaged:
    """A checkpoint of the run is missing, half written or cut short.

    Why: `vox transcribe`, `vox evaluate` and `--resume` take what stands in the folder. A disk that was full, a copy
    that was broken off or a checkpoint that was removed by hand show only then.

    Repair: copy the folder again, or use another checkpoint: `--model RUN/checkpoints/step-…`. What was left half
    written is cleared away by the next `--resume`. `best` is a link and can be made anew:
    `ln -sfn checkpoints/step-… RUN/best`.

    Sources: the format of safetensors (the header says how long the file has to be); transformers saves the best and
    removes others by save_total_limit.
    """

    code: ClassVar[str] = "T122"
    name: ClassVar[str] = "checkpoint-damaged"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By names, sizes and headers; no weights are loaded."""
        from voxcli.doctor.run import saved

        record = context.record
        whole = [one.path.name for one in record.checkpoints if one.problem is None]
        instead = f"use {whole[-1]}" if whole else "no other checkpoint is whole: train again"
        for one in record.checkpoints:
            if one.problem is None:
                continue
            if one.step < 0:
                if record.status != "running":
                    help = f"it can be removed; --resume clears it away, {instead}"
                    yield Finding("warning", f"{one.path.name}: {one.problem}", help, where=str(one.path))
                continue
            help = f"copy it again from where it was written, or {instead}"
            yield Finding("error", f"{one.path.name}: {one.problem}", help, where=str(one.path))
        if not record.trainer:
            if problem := saved.best_problem(record.path):
                target = f"ln -sfn checkpoints/{whole[-1]} {record.path / 'best'}" if whole else "train again"
                yield Finding(
                    "error", problem, f"copy that checkpoint again, or {target}", where=str(record.path / "best")
                )
            return
        best = record.state.get("best_model_checkpoint")
        names = {one.path.name for one in record.checkpoints}
        if isinstance(best, str) and names and Path(best).name not in names and not Path(best).exists():
            at = record.state.get("best_global_step") or Path(best).name
            message = f"the best checkpoint, {Path(best).name}, is not there any more: {', '.join(sorted(names))} are"
            help = f"load_best_model_at_end=True keeps it; what is left is not the model of step {at}"
            yield Finding("note", message, help, where=str(record.log_path))
