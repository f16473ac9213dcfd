"""S104: the processes that prepare batches, against the processors there are and the pace of the device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import LONGEST_WAIT, LONGEST_WAIT_SHARE, MOST_WORKERS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class Workers:
    """More data loader workers than processors, or so few that the GPU waits for features.

    Why: audio is read, augmented and turned into features by `train.dataloader_num_workers` processes; with 0 the
    training process does it between two steps. Where that takes longer than the step, the GPU stands still: a run costs
    a multiple of what it should. More workers than processors gain nothing, and each takes memory.

    Where a GPU is asked for, the features of a few clips of the training split are made on this machine and timed;
    against them stands an estimate of the device's pace (a roofline with round figures), so that only a large share of
    a long run is worth a warning. Workers on a machine without a GPU are not needed: its step is slow.

    Repair: `train.dataloader_num_workers`, at most one for each processor.

    Sources: PyTorch's DataLoader warns above the number of processors ("suggested max number of worker"); docs of
    torch.utils.data; the pace: src/voxcli/memory/speed.py (Williams et al. 2009, roofline).
    """

    code: ClassVar[str] = "S104"
    name: ClassVar[str] = "workers"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """The processors are this machine's; nothing is measured for a device that is not a GPU."""
        from voxcli.doctor.memory.pace import processors
        from voxcli.doctor.memory.prediction import device_of

        device, workers, count = device_of(context), context.recipe.train.dataloader_num_workers, processors()
        path = ("train", "dataloader_num_workers")
        here = device.here or context.device is None
        if here and workers > MOST_WORKERS * count:
            yield Finding(
                "warning",
                f"{workers} workers prepare batches on {count} processor{'s' if count > 1 else ''}",
                f"dataloader_num_workers = {count}",
                path=path,
                fix=Fix({"train.dataloader_num_workers": count}),
            )
        elif device.kind == "cuda":
            yield from self._starving(context, workers, count, here=here)

    def _starving(self, context: Context, workers: int, count: int, *, here: bool) -> Iterator[Finding]:
        from voxcli.doctor.memory.pace import pace

        found = pace(context)
        if found is None:
            return
        ready = found.prepared * max(workers, 1)  # s of audio a second
        waits = 1.0 / ready + 1.0 / found.trained if workers == 0 else max(1.0 / ready, 1.0 / found.trained)
        wait = found.audio * (waits - 1.0 / found.trained)
        share = 1.0 - 1.0 / (found.trained * waits)
        if share < LONGEST_WAIT_SHARE or wait < LONGEST_WAIT:
            return
        needed = math.ceil(found.trained / found.prepared)
        wanted = max(1, min(needed, count)) if here else needed
        if wanted <= workers:
            return
        yield Finding(
            "warning" if here else "note",
            f"{workers} workers prepare {ready:,.0f} s of audio a second, the device could train on about "
            f"{found.trained:,.0f}: it would wait {share:.0%} of the time, {wait / 3600:.1f} h of the run",
            f"dataloader_num_workers = {wanted}"
            + ("" if wanted >= needed else f" (all processors; {needed} would do)"),
            path=("train", "dataloader_num_workers"),
            fix=Fix({"train.dataloader_num_workers": wanted}) if here else None,
        )
