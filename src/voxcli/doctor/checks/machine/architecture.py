"""M005: a GPU that torch sees and has no kernels for, or that refuses to compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import BUILD_FOR_OLD, BUILDS, OLD_CAPABILITY
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class GpuNotSupported:
    """torch sees a GPU and cannot compute on it.

    Why: a build of torch holds compiled kernels for some generations of GPUs. On an older or a newer one
    `torch.cuda.is_available()` is True and the first operation of the run ends with "no kernel image is available for
    execution on the device". Two numbers are added on each GPU to see it; that also shows one that is broken or locked
    to another process.

    Repair: the build of torch that has kernels for this GPU.

    Sources: pytorch/pytorch#157517 (CUDA 12.8 and later without Maxwell, Pascal and Volta); CUDA 13.0 release notes;
    docs.pytorch.org, torch.cuda.get_arch_list.
    """

    code: ClassVar[str] = "M005"
    name: ClassVar[str] = "gpu-not-supported"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """What the GPU answered, and only then what the build says it has."""
        from voxcli.doctor.context import Unavailable

        torch = context.machine.torch
        if torch is None or torch.failure is not None:
            raise Unavailable("torch")
        for device in torch.facts["devices"]:
            if device["failure"] is None:
                continue
            capability = tuple(device["capability"] or ())
            number = ".".join(map(str, capability)) or "unknown"
            if "no kernel image" in device["failure"] or not _covered(capability, torch.facts["archs"]):
                archs = ", ".join(torch.facts["archs"]) or "no architecture"
                yield Finding(
                    "error",
                    f"torch {torch.facts['version']} has no kernels for {device['name']} "
                    f"(compute capability {number}); it has {archs}",
                    _help(capability),
                )
            else:
                yield Finding(
                    "error",
                    f"{device['name']} refuses the smallest computation: {device['failure']}",
                    "look with `nvidia-smi` for processes that hold the GPU, errors and a compute mode other than "
                    "Default; CUDA_VISIBLE_DEVICES leaves a GPU out",
                )


def _covered(capability: tuple[int, ...], archs: list[str]) -> bool:
    """A cubin runs on its own and later minor versions of one major; PTX (compute_) on everything later."""
    if not capability or not archs:
        return True
    own = capability[0] * 10 + capability[1]
    for arch in archs:
        kind, _, text = arch.partition("_")
        digits = int("".join(character for character in text if character.isdigit()) or 0)
        if (kind == "compute" and digits <= own) or (digits // 10 == own // 10 and digits <= own):
            return True
    return False


def _help(capability: tuple[int, ...]) -> str:
    build = BUILD_FOR_OLD if capability and capability < OLD_CAPABILITY else BUILDS[0][1]
    return f"`pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/{build}`"
