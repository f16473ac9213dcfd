"""C161: what a checkpoint needs for a resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_WHOLE = ("state.json", "training.json", "training.safetensors")


class NotResumable:
    """A run's checkpoint has no training state, or a part of it.

    Why: `--resume` goes on from optimizer, scheduler, generators and the place in the data, which stand in
    `training_state/`. Without them the weights are whole, and the run can only begin anew from them.

    Repair: resume from another checkpoint of the run; or begin a new run with this folder as its checkpoint.

    Sources: docs/train.md, resume; src/voxcli/train/checkpoint.py.
    """

    code: ClassVar[str] = "C161"
    name: ClassVar[str] = "not-resumable"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of folders that stand in a run: runs/NAME/checkpoints/step-000500."""
        from voxcli.train.folder import CHECKPOINTS, TRAINING_STATE

        path = context.checkpoint.path.resolve()
        if path.parent.name != CHECKPOINTS or not (path.parent.parent / "recipe.toml").is_file():
            return
        lost = [name for name in _WHOLE if not (path / TRAINING_STATE / name).is_file()]
        if lost:
            what = "no training_state" if len(lost) == len(_WHOLE) else f"no training_state/{lost[0]}"
            yield Finding(
                "note",
                f"the checkpoint has {what}: the run cannot go on from it",
                "resume from another checkpoint, or begin a new run with this folder as [model] checkpoint",
                where=str(path),
            )
