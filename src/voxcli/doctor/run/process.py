"""Whether the process that began a session of a run is still there."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path

LATEST = 5.0
"""s that a process may seem younger than the session it began: clocks are read in two ways."""


def alive(pid: object, host: object, began: object = None) -> bool | None:
    """Whether it lives; None where this machine cannot tell. A process that is younger than the session (`began`, ISO
    8601) has only inherited the number.
    """
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0 or host != socket.gethostname():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if _state(pid) == "Z":
        return False
    born = _born(pid)
    if born is not None and isinstance(began, str):
        try:
            return born <= datetime.fromisoformat(began).timestamp() + LATEST
        except ValueError:
            return True
    return True


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (proc(5)); empty where there is no such file."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[0] if fields else None


def _born(pid: int) -> float | None:
    """When a process was started, seconds since 1970; None where that is not known."""
    fields = _stat(pid)
    if len(fields) < 20:
        return None
    try:
        ticks = int(fields[19])
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        booted = int(next(line for line in lines if line.startswith("btime")).split()[1])
    except (OSError, ValueError, StopIteration):
        return None
    return booted + ticks / os.sysconf("SC_CLK_TCK")
