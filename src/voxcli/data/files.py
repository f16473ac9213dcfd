"""Paths -> why there is no audio file at each, or that one may be there; each folder without its files is asked once.

Asking for a file that is not there costs more than for one that is, and a folder that moved takes all its files with
it: a million of them are told from the names that are left.
"""

from __future__ import annotations

import os
import stat
import unicodedata

from voxcli.audio.decode import check
from voxcli.errors import DataError

MISSED = 64  # files of a folder found missing one by one, before its names are read
NAMES = 2_000_000  # names of a folder that are kept at most


class Files:
    """What is known of the folders of a list of paths."""

    def __init__(self) -> None:
        self._missed: dict[str, int] = {}
        self._names: dict[str, frozenset[str] | None] = {}

    def problem(self, path: str) -> str | None:
        """What `voxcli.audio.decode.check` says of a file, or None."""
        try:
            status = self.status(path)
        except (OSError, ValueError):
            pass
        else:
            if status is None:
                return f"{path} does not exist"
            if stat.S_ISREG(status.st_mode) and status.st_size:
                return None
        try:
            check(path)
        except DataError as error:
            return error.message
        return None

    def status(self, path: str) -> os.stat_result | None:
        """None where there is no such file. Raises `OSError` and `ValueError` as `os.stat` does for anything else."""
        if self._names:
            folder, _, name = path.rpartition(os.sep)
            names = self._names.get(folder)
            if names is not None and _folded(name) not in names:
                return None
        try:
            return os.stat(path)
        except FileNotFoundError:
            self._miss(path)
            return None

    def _miss(self, path: str) -> None:
        """One more file that is not there; a folder that is not there either, or lacks many, is looked at once."""
        folder = path.rpartition(os.sep)[0]
        missed = self._missed[folder] = self._missed.get(folder, 0) + 1
        if missed == 1 and folder and not os.path.isdir(folder):
            self._names[folder] = frozenset()
        elif missed == MISSED:
            self._names[folder] = _names(folder)


def _names(folder: str) -> frozenset[str] | None:
    """What a folder holds; None where it does not say, or holds too much."""
    try:
        with os.scandir(folder or os.curdir) as entries:
            names = [_folded(entry.name) for entry, _ in zip(entries, range(NAMES + 1), strict=False)]
    except OSError:
        return None
    return frozenset(names) if len(names) <= NAMES else None


def _folded(name: str) -> str:
    """The same for names that some file system takes for the same one."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
