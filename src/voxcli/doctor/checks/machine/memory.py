"""M012: the memory of the machine within the limit of its container."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import LITTLE_MEMORY
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LittleMemory:
    """The memory that this process may use does not hold a training run, or is far below the machine's.

    Why: a process over the limit of its container is killed by the kernel: no message, no traceback, exit code 137.
    `free` and `htop` show the machine's memory, not the limit, so the limit is not what people look at.

    Repair: a larger limit (`docker run --memory`, `resources.limits.memory` in Kubernetes, `#SBATCH --mem`).

    Sources: kernel.org, cgroup v2, memory.max; the least that training takes: measured here, see the threshold.
    """

    code: ClassVar[str] = "M012"
    name: ClassVar[str] = "little-memory"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """A limit far below the machine's memory is worth a note by itself."""
        total, limit = context.machine.memory
        least = limit if limit is not None else total
        if least is None:
            return
        help = "a larger limit: `docker run --memory=16g`, `resources.limits.memory`, `#SBATCH --mem`"
        have = f"the limit of this container is {least / 2**30:.1f} GiB of memory" if limit is not None else (
            f"this machine has {least / 2**30:.1f} GiB of memory"
        )  # fmt: skip
        if least < LITTLE_MEMORY:
            message = f"{have}; whisper-tiny trained whole takes 1 GiB before its first batch"
            yield Finding("warning", message, help if limit is not None else "a machine with more memory")
        elif limit is not None and total is not None and limit < total / 2:
            yield Finding("note", f"{have}, the machine has {total / 2**30:.1f} GiB", help)
