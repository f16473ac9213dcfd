"""R129: worker processes and processors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class MoreWorkersThanProcessors:
    """`dataloader_num_workers` is more than the processors that this process may use.

    Why: workers that take turns on one processor read no faster, and each holds the index and its libraries in memory.
    In a container the processors are often fewer than the machine has.

    Repair: at most the number of processors, less one for the loop.

    Sources: torch.utils.data.DataLoader, which warns of the same; os.sched_getaffinity.
    """

    code: ClassVar[str] = "R129"
    name: ClassVar[str] = "more-workers-than-processors"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """A note: the run may take place on another machine."""
        affinity = getattr(os, "sched_getaffinity", None)
        processors = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
        workers = context.recipe.train.dataloader_num_workers
        if workers > processors:
            message = f"dataloader_num_workers is {workers}, and this machine lends {processors} processors"
            help = f"dataloader_num_workers = {max(processors - 1, 0)} here"
            yield Finding("note", message, help, path=("train", "dataloader_num_workers"))
