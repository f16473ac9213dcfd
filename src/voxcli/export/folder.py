"""A new folder that is whole or not there: written beside its place, forced to the disk, renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from voxcli.errors import ModelError, UsageError
from voxcli.train.checkpoint import disk_problem, to_disk

ABANDONED = 24 * 3600.0  # s after which what an export has left behind is one of a process that was killed


def require_new(out: Path) -> None:
    """Raise `UsageError` where something stands at `out` already."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists already, and nothing is overwritten", help="give another place with --out")


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that takes its name when the block ends, and vanishes when the block fails.

    Raises `UsageError` where `out` exists or cannot be made, `ModelError` where the disk does not take what is written.
    """
    require_new(out)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")  # another process may write one too
    made = [parent for parent in out.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        _sweep(out)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror or error}", help="choose another folder with --out"
        ) from error
    try:
        yield partial
        to_disk(partial)
        require_new(out)
        os.replace(partial, out)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:  # from the innermost
            with contextlib.suppress(OSError):
                parent.rmdir()
        if (reason := disk_problem(error)) is None:
            raise
        raise ModelError(
            f"{out} could not be written: {reason}", help="make room, or choose a folder on another disk with --out"
        ) from error


def _sweep(out: Path) -> None:
    """Remove what killed processes have left of `out`."""
    for left in out.parent.iterdir():
        if left.name.startswith(f".{out.name}.") and left.name.endswith(".partial"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
