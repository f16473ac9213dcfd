"""The memory of the machine that voxcli runs on: its GPU, or its RAM within a container's limit, as a `Device`."""

from __future__ import annotations

import os
from pathlib import Path

from voxcli.errors import UsageError
from voxcli.memory.cards import GIB, Device, find, gib, parse_size
from voxcli.memory.fixed import CONTEXT


def named(gpu: str | None, ram_size: str | None) -> Device | None:
    """The device that `--gpu` or `--ram` names; None where neither was given. Light: torch is not imported.

    Raises `UsageError` for both, and for a name or a size that means nothing.
    """
    if gpu is not None and ram_size is not None:
        raise UsageError("--gpu and --ram are two devices", help="plan for one at a time")
    return find(gpu) if gpu is not None else ram(ram_size) if ram_size is not None else None


def device() -> Device:
    """What a run here would use: CUDA before Apple's MPS before the processor."""
    import torch

    if torch.cuda.is_available():
        return _cuda(torch.cuda.current_device())
    if torch.backends.mps.is_available():
        most = int(torch.mps.recommended_max_memory())
        return Device("Apple GPU", total=_physical(), usable=most, kind="mps", capability=(0, 0), here=True)
    return ram()


def ram(size: str | None = None) -> Device:
    """A processor with `size` of memory, or this one: what is free, within the limit of its container.

    Raises `UsageError` for what is no size.
    """
    if size is not None:
        total = parse_size(size)
        if total is None:
            raise UsageError(f"'{size}' is no amount of memory", help="write it as 16GiB")
        return Device(f"{gib(total)} of RAM", total=total, usable=total, kind="cpu", capability=(0, 0))
    total, free = _physical(), _available()
    limit, used = _container()
    if limit is not None and limit < total:
        total, free = limit, min(free, limit - used)
    mine = _resident()  # this process will be gone when the run begins
    return Device(
        "this machine's RAM", total=total, usable=min(total, free + mine), kind="cpu", capability=(0, 0), here=True
    )


def _cuda(index: int) -> Device:
    """A GPU of this machine. Free memory is asked of CUDA, which creates this process's context: it is given back."""
    import torch

    properties = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    ours = CONTEXT + torch.cuda.memory_reserved(index)
    return Device(
        properties.name,
        total=total,
        usable=min(total, free + ours),
        capability=(properties.major, properties.minor),
        here=True,
    )


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return 8 * GIB


def _available() -> int:
    """What the system could give without swapping (MemAvailable, proc(5)); elsewhere all there is."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _physical()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), _physical())


def _container(root: Path = Path("/sys/fs/cgroup")) -> tuple[int | None, int]:
    """(limit, in use) of this process's control group, bytes, of version 2 or 1; limit None where there is none."""
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit = int((root / limit_name).read_text(encoding="ascii"))
            return limit, int((root / used_name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # absent, or "max"
            continue
    return None, 0


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
