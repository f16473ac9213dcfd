"""M006: memory of a GPU that other processes hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import TAKEN
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class GpuMemoryTaken:
    """Other processes hold a good part of a GPU's memory.

    Why: a run that fits the card does not fit what is left of it, and fails at its longest batch, maybe hours later. A
    notebook that still holds its model, a run that was thought to be over, or a colleague on the same machine are the
    usual ones; two runs on one GPU also share its speed.

    Repair: end what is not needed, or choose another GPU with CUDA_VISIBLE_DEVICES; `vox plan` compares a recipe with
    the memory that is free.

    Sources: docs.nvidia.com, nvidia-smi (memory.used); the share is a judgement, see the threshold.
    """

    code: ClassVar[str] = "M006"
    name: ClassVar[str] = "gpu-memory-taken"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """By what nvidia-smi says, before anything of ours is on the GPU."""
        for index, gpu in enumerate(context.machine.gpus.found):
            if not gpu.total or gpu.used is None or gpu.used < TAKEN * gpu.total:
                continue
            yield Finding(
                "warning",
                f"GPU {index} ({gpu.name}): {gpu.used / 2**30:.1f} of {gpu.total / 2**30:.1f} GiB are taken by other "
                f"processes",
                "`nvidia-smi` lists them: end what is not needed, or choose another GPU with CUDA_VISIBLE_DEVICES",
            )
