"""S105: what a run writes, against the disk it writes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import ROOM_ON_DISK
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DiskTooSmall:
    """The disk has no room for the run's checkpoints, or for the download of the model.

    Why: a checkpoint holds the weights that are trained (4 bytes each) and the optimizer's states (8 more with AdamW):
    2.9 GB for Whisper small, 18 GB for large. `save_total_limit` of them are kept, the best one, and for a moment the
    one that is being written. A full disk ends the run. What is compared is the disk of `runs/` below the working
    directory; a run with `--run-dir` elsewhere has another. The index of the data takes about as much as its manifest
    and is not counted.

    Repair: a smaller `train.save_total_limit`, `--run-dir` on another disk, HF_HOME on another disk for the download.

    Sources: docs/train.md, checkpoints; huggingface_hub's documentation, environment variables (HF_HOME); datasets
    issue 6789 (disk full).
    """

    code: ClassVar[str] = "S105"
    name: ClassVar[str] = "disk-too-small"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """An error where not even one checkpoint fits; the sizes are known from the config."""
        from voxcli.doctor.memory.disk_need import BESIDE, checkpoints, download
        from voxcli.memory.cards import gib
        from voxcli.recipe.where import shown

        need = checkpoints(context)
        if need.total > need.free:
            one = need.checkpoint > need.free
            fitting = int((1 - ROOM_ON_DISK) * need.free) // max(need.checkpoint, 1) - BESIDE
            fix = Fix({"train.save_total_limit": int(fitting)}) if fitting >= 1 else None
            yield Finding(
                "error" if one else "warning",
                f"{need.kept:,} checkpoints of {gib(need.checkpoint)} each are kept at one time, {gib(need.total)}; "
                f"the disk of {shown(need.folder)} has {gib(need.free)} free",
                (f"save_total_limit = {fitting}, or " if fix else "make room, or ")
                + "`vox train … --run-dir FOLDER` on another disk",
                path=("train", "save_total_limit"),
                fix=fix,
            )
        wanted = download(context)
        if wanted is not None and wanted.size > wanted.free:
            yield Finding(
                "error",
                f"the weights of {wanted.checkpoint} take {gib(wanted.size)} and are not here yet; the hub's cache has "
                f"{gib(wanted.free)} free",
                "set HF_HOME to a folder on another disk, or make room",
                path=("model", "checkpoint"),
                where=str(wanted.folder),
            )
