"""What is known of installed plugins, kept in `$VOX_CACHE/plugins.json`: who is installed, and a look at each.

A look counts as long as the metadata of the distribution and the files of its modules are those that were looked at, by
name, modification time and size. Where something else was installed or removed meanwhile, one that failed counts no
more, and any other is used and renewed in the background. The file may be deleted at any time. Where it cannot be
written, each command looks again.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import voxcli
from voxcli.folders import cache_folder
from voxcli.plugins import stored
from voxcli.plugins.installed import Installed, Scans, environment
from voxcli.plugins.looks.look import Failure, Look, failure_of, look_of

FILE = "plugins.json"
FORMAT = 2
SCANS = 64  # folders that are remembered; several environments share the file

Record = dict[str, Any]
"""files, environment, found, failed; or, meanwhile, process, host, until"""

SECONDS_VARIABLE = "VOX_PLUGIN_SECONDS"
SECONDS = 60.0  # s that a plugin may take to import, unless VOX_PLUGIN_SECONDS says otherwise

_scans: Scans = {}
"""Of this process, for the time when nothing can be written."""


def limit() -> float:
    """Seconds that a plugin may take."""
    try:
        return max(0.1, float(os.environ[SECONDS_VARIABLE]))
    except (KeyError, ValueError):
        return SECONDS


def path() -> Path:
    """Where the index is kept."""
    return cache_folder() / FILE


def key_of(plugin: Installed) -> str:
    """What a look is kept under: another version, installation, voxcli or Python has another key."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{plugin.folder}|{plugin.changed}|{plugin.name}={plugin.target}|{voxcli.__version__}|{python}"


class Index:
    """The file as it was read, and what has to be written."""

    def __init__(self) -> None:
        self.scans: Scans = dict(_scans)
        self.looks: dict[str, Record] = {}
        self.failure: OSError | None = None
        """Why it cannot be written."""
        self._before: Scans = {}
        self._taken: dict[str, Record] = {}
        self._said: set[str] = set()
        self.read()

    def read(self) -> None:
        """Read it again: another process may have looked at something."""
        try:
            content = stored.read(path())
            self.looks = {**_tables(content, "looks"), **self._taken}
            self._said |= set(_tables(content, "said"))
            self._before = _tables(content, "scans")
        except (OSError, ValueError, TypeError):
            self.looks, self._before = dict(self._taken), {}
        self.scans = {**self._before, **self.scans}

    def look(self, plugin: Installed) -> Look | Failure | None:
        """What is known of a plugin; None where it has to be looked at."""
        record = self.looks.get(key_of(plugin))
        if record is None or "found" not in record:
            return None
        try:
            if any(_identity(name) != known for name, known in record["files"].items()):
                return None
            if not record["failed"]:
                return look_of(record["found"])
            failure = failure_of(record["found"])
            if failure.hung is not None:
                return failure if failure.hung >= limit() else None
            return failure if record["environment"] == environment(self.scans) else None
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def forget(self, plugin: Installed) -> None:
        """Let the next look at a plugin be a new one."""
        self.looks.pop(key_of(plugin), None)
        self._taken.pop(key_of(plugin), None)

    def is_stale(self, plugin: Installed) -> bool:
        """Whether anything was installed or removed since: a plugin may register what it finds libraries for."""
        return self.looks.get(key_of(plugin), {}).get("environment") != environment(self.scans)

    def is_looked_at(self, plugin: Installed) -> bool:
        """Whether a process that is still there is looking at it."""
        record = self.looks.get(key_of(plugin), {})
        if "process" not in record or time.time() > record["until"]:
            return False
        if record["host"] != platform.node():
            return True
        try:
            os.kill(record["process"], 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True

    def take(self, key: str, found: Record) -> None:
        """Keep what a looking process told; it writes it itself."""
        self.looks[key] = self._taken[key] = found

    def begin(self, plugins: Iterable[Installed], process: int, seconds: float) -> None:
        """Note which process looks at these plugins, for at most `seconds`."""
        note = {"process": process, "host": platform.node(), "until": time.time() + seconds}
        self._write({key_of(one): {**self.looks.get(key_of(one), {}), **note} for one in plugins})

    def new(self, plugins: Sequence[Installed], what: str) -> list[Installed]:
        """Those of which `what` was not said before. It is noted that it is said now."""
        new = [one for one in plugins if f"{key_of(one)}|{what}" not in self._said]
        if new:
            self._said |= {f"{key_of(one)}|{what}" for one in new}
            self._write({})
        return new

    def settle(self) -> None:
        """Write what has changed in the folders, if anything has."""
        if self.scans != self._before:
            self._write({})

    def _write(self, records: Mapping[str, Record]) -> None:
        self.looks.update(records)
        _scans.update(self.scans)
        try:
            save(path(), records, self.scans, self._said)
            self._before = dict(self.scans)
        except OSError as error:
            self.failure = error


def record(told: Mapping[str, Any], job: Mapping[str, Any]) -> Record:
    """What is kept of what a looking process found out."""
    return {
        "files": told["files"],
        "environment": job["environment"],
        "found": told["found"],
        "failed": bool(told["failed"]),
    }


def save(place: Path, records: Mapping[str, Record], scans: Scans | None = None, said: Collection[str] = ()) -> None:
    """Add to what the file holds, and take out what is of distributions that are gone. Raises `OSError`."""

    def edit(content: dict[str, Any]) -> None:
        looks = {**_tables(content, "looks"), **records}
        folders = {**_tables(content, "scans"), **(scans or {})}
        told = {**_tables(content, "said"), **{one: {} for one in said}}
        content.clear()
        content["format"] = FORMAT
        content["scans"] = dict(list(folders.items())[-SCANS:])
        content["looks"] = {key: one for key, one in looks.items() if _is_there(key)}
        content["said"] = {key: one for key, one in told.items() if _is_there(key)}

    stored.change(place, edit)


def _tables(content: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """One part of the file: tables by name. Empty where another version of voxcli wrote it, or somebody else."""
    part = content.get(name) if content.get("format") == FORMAT else None
    return {key: one for key, one in part.items() if isinstance(one, dict)} if isinstance(part, dict) else {}


def _is_there(key: str) -> bool:
    folder, changed, *_ = key.split("|")
    if not folder:
        return True
    with contextlib.suppress(OSError):
        return str(os.stat(folder).st_mtime_ns) == changed
    return False


def _identity(name: str) -> list[int] | None:
    try:
        status = os.stat(name)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size]
