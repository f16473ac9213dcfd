"""M009: /dev/shm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import NO_SHARED_MEMORY, SHARED_MEMORY
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class SmallSharedMemory:
    """/dev/shm is missing, full, or too small for several GPUs.

    Why: voxcli's worker processes send batches through pipes, so the 64 MiB of a container's default do not limit them
    as they limit torch's own loaders. Two things still need /dev/shm: the semaphores of worker processes, which are a
    page each, and NCCL, through which several GPUs exchange gradients; it fails to start where there is too little.

    Repair: `docker run --shm-size=1g` or `--ipc=host`; in Kubernetes an emptyDir of medium Memory at /dev/shm.

    Sources: docs.nvidia.com, NCCL, "Troubleshooting", shared memory; sem_overview(7); docs.docker.com, docker run,
    --shm-size (64 MiB). Measured here: with /dev/shm full or missing, a lock of multiprocessing cannot be made.
    """

    code: ClassVar[str] = "M009"
    name: ClassVar[str] = "small-shared-memory"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """Linux alone has /dev/shm."""
        if sys.platform != "linux":
            return
        machine = context.machine
        help = "`docker run --shm-size=1g`, or `--ipc=host`"
        if machine.shared_memory is None:
            message = "there is no /dev/shm: worker processes ([train] dataloader_num_workers) cannot start"
            yield Finding("warning", message, f"mount a tmpfs there; in a container {help}")
            return
        total, free = machine.shared_memory
        size = f"/dev/shm has {total / 2**20:.0f} MiB, {free / 2**20:.0f} MiB of them free"
        if free < NO_SHARED_MEMORY:
            message = f"{size}: worker processes ([train] dataloader_num_workers) cannot start"
            yield Finding("warning", message, f"remove what fills it (`ls -l /dev/shm`), or {help}")
        elif total < SHARED_MEMORY and len(machine.gpus.found) > 1:
            message = f"{size}, and this machine has {len(machine.gpus.found)} GPUs: NCCL asks for 1 GB"
            yield Finding("warning", message, help)
        elif total < SHARED_MEMORY:
            yield Finding("note", f"{size}: enough for voxcli, but not for training on several GPUs", help)
