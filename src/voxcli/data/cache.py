"""Where voxcli keeps what it can compute again: `$VOX_CACHE`, else `$XDG_CACHE_HOME/voxcli`, else `~/.cache/voxcli`.

Everything below it may be deleted at any time. Files are written beside their place and renamed, so that a reader
never sees half of one and two processes may write the same one.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from voxcli.errors import DataError
from voxcli.folders import cache_folder

log = logging.getLogger(__name__)


def places(name: str) -> list[Path]:
    """Where a cached file may stand: in the cache folder, or in the one of this process where that is not writable."""
    found = [cache_folder() / name]
    if _own_folder.cache_info().currsize:
        found.append(Path(_own_folder().name) / name)
    return found


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A new path near the cached file `name`, removed afterwards if something was written there."""
    place = _writable(cache_folder(), name) / name
    beside = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield beside
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def place_of(beside: Path) -> Path:
    """Where a file written to a `scratch` path belongs."""
    return beside.with_name(beside.name.rsplit(".", 2)[0])


def settle(beside: Path) -> Path:
    """Rename what was written to a `scratch` path to its place, which is returned. Raises `DataError`."""
    place = place_of(beside)
    try:
        beside.replace(place)
    except OSError as error:
        raise unwritable(place, error) from error
    return place


def unwritable(path: Path, error: OSError) -> DataError:
    """A cached file that cannot be written, as on a full disk."""
    return DataError(
        f"{path} cannot be written: {error.strerror or error}",
        help="free some space, or let the environment variable VOX_CACHE name another folder",
    )


def _writable(folder: Path, name: str) -> Path:
    """`folder` where a file `name` can be created below it, else this process's own folder."""
    try:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=(folder / name).parent):
            pass
        if (folder / name).is_dir():
            raise IsADirectoryError(None, "a folder stands in its place", str(folder / name))
    except OSError as error:
        own = Path(_own_folder().name)
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        log.warning(
            "the cache folder %s cannot be written (%s): indexes are kept until this process ends; "
            "the environment variable VOX_CACHE names another one",
            folder,
            error.strerror or error,
        )
        return own
    return folder


@functools.cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="voxcli-", ignore_cleanup_errors=True)
