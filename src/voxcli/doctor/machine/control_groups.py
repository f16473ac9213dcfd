"""Control groups of version 2 and 1 -> the processors and the memory that a container leaves to this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cpus(root: Path) -> float | None:
    """The quota in processors, the smallest of the groups that this process is in; None where there is none."""
    quotas: list[float] = []
    for folder in _folders(root, "cpu"):
        if (folder / "cpu.max").exists():
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):  # "max" and -1: no quota
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory(root: Path) -> int | None:
    """The limit in bytes, the smallest of the groups that this process is in; None where there is none."""
    limits: list[int] = []
    for folder in _folders(root, "memory"):
        text = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
        if text.isdigit() and int(text) < 2**60:  # version 1 writes "no limit" as the largest multiple of a page
            limits.append(int(text))
    return min(limits, default=None)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The groups of this process and all above them; a container may see its own as the topmost."""
    top = root / "sys/fs/cgroup"
    seen = set()
    for line in [*_text(root / "proc/self/cgroup").splitlines(), "0::/", f"0:{controller}:/"]:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = top / controllers if controllers and (top / controllers).is_dir() else top
        base = top / controller if controllers and (top / controller).is_dir() else base
        folder = base / path.strip("/")
        while folder not in seen and base in (folder, *folder.parents):
            seen.add(folder)
            yield folder
            folder = folder.parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
