"""Arrays that are computed once and read back from the cache: npz files, written in one move, never pickled.

A file's name has to hash all that its arrays depend on; `code` says what voxcli's own part of that is.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import voxcli
from voxcli.data.cache import places, scratch, settle
from voxcli.errors import VoxError

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

LARGE = 100_000  # rows of a table whose derived columns take longer to compute than to read


def read(name: str) -> Arrays | None:
    """What `write` has written; None where nothing readable is there."""
    for place in places(name):
        try:
            with np.load(place, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.info("%s is made anew: %s", place, error)
    return None


def write(name: str, arrays: Arrays) -> None:
    """Keep arrays. A disk that does not take them is no reason to stop."""
    try:
        with scratch(name) as beside:
            with beside.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            settle(beside)
    except (OSError, VoxError) as error:
        log.info("%s is not kept: %s", name, error)


def text(value: Any) -> np.ndarray:
    """Any JSON value as an array."""
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def value(array: np.ndarray) -> Any:
    """What `text` was given."""
    return json.loads(array.tobytes().decode())


@functools.cache
def code(*rooms: str) -> str:
    """Changes with every file of some folders of voxcli."""
    root = Path(voxcli.__file__).parent
    found = []
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_size))
    return hashlib.sha256(repr(found).encode()).hexdigest()
