"""A small JSON file that several processes read and change: whole or not at all, and never an error for the reader."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 2.0  # s that a process waits for another one's change; then it goes on, and the later of the two is kept


def read(path: Path) -> dict[str, Any]:
    """What the file holds; empty where it is missing.

    Raises `OSError` where it cannot be read and `ValueError` where it holds no JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"it holds {type(content).__name__}, expected an object")
    return content


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Read the file, let `edit` change what it holds, write it; what cannot be read counts as empty.

    Raises `OSError` where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        try:
            content = read(path)
        except (OSError, ValueError):
            content = {}
        edit(content)
        from secrets import token_hex  # 4 ms that reading does not pay

        beside = path.with_name(f"{path.name}.{token_hex(4)}.tmp")
        try:
            beside.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
            beside.replace(path)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
    return content


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock beside the file. Some network folders have no locks: there it is done without."""
    handle = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
        yield
    finally:
        os.close(handle)
