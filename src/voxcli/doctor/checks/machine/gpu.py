"""M004: a GPU that torch does not use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import BUILD_FOR_OLD, BUILDS, OLD_CAPABILITY, OLDEST_DRIVER
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.machine.gpus import Gpus

HIDDEN = ("", "-1", "none", "nodevfiles")
"""CUDA_VISIBLE_DEVICES of somebody who wants no GPU."""


class GpuNotUsed:
    """This machine has an NVIDIA GPU, and torch does not use it.

    Why: nothing fails. Training runs on the processor, and what takes an hour takes days. The build of torch has no
    CUDA, or the driver is not loaded, older than the CUDA of the build needs, or of another version than its library
    since an upgrade without a restart. In a container, the GPU was not handed over.

    Repair: the build of torch that belongs to the driver, or a newer driver; `nvidia-smi` has to answer first.

    Sources: docs.nvidia.com, CUDA Compatibility, "Minor Version Compatibility", table 1 (driver for CUDA 11, 12, 13);
    pytorch.org, "Get started" and "Previous versions" (the index of each build).
    """

    code: ClassVar[str] = "M004"
    name: ClassVar[str] = "gpu-not-used"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """Whether torch sees the GPU decides; versions only explain why it does not."""
        from voxcli.doctor.context import Unavailable

        gpus, torch = context.machine.gpus, context.machine.torch
        if not gpus.seen:
            return
        if torch is None or torch.failure is not None:
            raise Unavailable("torch")
        facts = torch.facts
        if facts["available"]:
            return
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None and visible.strip().lower() in HIDDEN:
            message = f"{gpus.names} is hidden from torch by CUDA_VISIBLE_DEVICES={visible!r}"
            yield Finding("note", message, "unset CUDA_VISIBLE_DEVICES to train on it", where=gpus.seen)
        elif not gpus.given:
            message = f"the machine around this container has {gpus.names}, which the container was not given"
            help = "`docker run --gpus all`, with the NVIDIA Container Toolkit on the host"
            yield Finding("note", message, help, where=gpus.seen)
        else:
            yield _unused(gpus, facts)


def _unused(gpus: Gpus, facts: dict[str, object]) -> Finding:
    build = f"torch {facts['version']}"
    slow = "training runs on the processor"
    cuda = facts["cuda"]
    if not cuda and not facts["hip"]:
        message = f"{build} is a CPU build, and this machine has {gpus.names}: {slow}"
        return Finding("warning", message, _install(gpus), where=gpus.seen)
    if not cuda:
        message = f"{build} is built for AMD GPUs, and this machine has {gpus.names}: {slow}"
        return Finding("warning", message, _install(gpus), where=gpus.seen)
    build = f"{build} (CUDA {cuda})"
    if gpus.complaint:
        message = f"{build} sees no GPU, because the NVIDIA driver does not answer ({gpus.complaint}): {slow}"
        help = "restart the machine, or install the driver anew; `nvidia-smi` has to answer before torch can"
        return Finding("warning", message, help, where=gpus.seen)
    needed = OLDEST_DRIVER.get(int(str(cuda).partition(".")[0]))
    if gpus.driver_major is not None and needed is not None and gpus.driver_major < needed:
        message = f"{build} needs the NVIDIA driver {needed} or newer, and {gpus.driver} is installed: {slow}"
        help = _install(gpus)
        if gpus.driver_major >= BUILDS[-1][0]:
            help = f"a newer driver; or {help}"
        return Finding("warning", message, help, where=gpus.seen)
    if gpus.driver is None and not gpus.found:
        message = f"{build} sees no GPU: this machine has {gpus.names}, and no NVIDIA driver is loaded: {slow}"
        help = "install the NVIDIA driver (on Ubuntu `sudo ubuntu-drivers install`), restart, then run `nvidia-smi`"
        return Finding("warning", message, help, where=gpus.seen)
    said = facts["said"]
    reason = " ".join(str(said[0]).split()) if isinstance(said, list) and said else "it does not say why"
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        reason += f" (CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']})"
    help = f"`nvidia-smi` and `python -c 'import torch; torch.cuda.init()'` say more; else {_install(gpus)}"
    return Finding("warning", f"{build} does not see {gpus.names}: {reason}: {slow}", help, where=gpus.seen)


def _install(gpus: Gpus) -> str:
    """The command for the build that this driver runs."""
    old = any(gpu.capability is not None and gpu.capability < OLD_CAPABILITY for gpu in gpus.found)
    if gpus.driver_major is None:
        return "install torch for CUDA as https://pytorch.org/get-started/locally/ says"
    fitting = [build for driver, build in BUILDS if gpus.driver_major >= driver]
    if not fitting:
        oldest = BUILDS[-1][0]
        return f"a newer driver: {gpus.driver} runs no torch that voxcli supports, {oldest} is the oldest that does"
    build = BUILD_FOR_OLD if old else fitting[0]
    return f"`pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/{build}`"
