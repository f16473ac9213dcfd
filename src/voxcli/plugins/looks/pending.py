"""Plugins that nobody has looked at yet -> a process that imports them, and what it has told so far.

The process goes on when the command that started it has ended, and writes what it finds into the index.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from voxcli.plugins.installed import Installed, environment
from voxcli.plugins.looks.index import Index, Record, key_of, limit, path

POLL = 0.05  # s between two looks into the index while another process is at it

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from voxcli.plugins.looks import process; process.main(sys.argv)"
)
_kept: list[subprocess.Popen[bytes]] = []
"""Processes of this one that may outlive it; a dropped one would warn."""


class Looking:
    """The plugins that are being looked at, by a process of ours or by that of another command."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._others: list[Installed] = []
        self._ours: set[str] = set()
        self._told: queue.SimpleQueue[tuple[str, Record] | None] = queue.SimpleQueue()

    def begin(self, plugins: Sequence[Installed]) -> None:
        """Look at these. Raises `OSError` where no process can be started."""
        self._others = [one for one in plugins if self._index.is_looked_at(one)]
        new = [one for one in plugins if one not in self._others]
        if not new:
            return
        seconds, now = limit(), environment(self._index.scans)
        jobs: list[dict[str, Any]] = [
            {
                "key": key_of(one),
                "name": one.name,
                "target": one.target,
                "distribution": one.distribution,
                "version": one.version,
                "seconds": seconds,
                "environment": now,
            }
            for one in new
        ]
        process = subprocess.Popen(
            [sys.executable, "-P", "-B", "-c", _BOOT, json.dumps(sys.path), str(path())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C of the command is not meant for it
        )
        _kept.append(process)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(json.dumps(jobs).encode())
        self._ours = {job["key"] for job in jobs}
        threading.Thread(target=self._listen, args=(process,), name="vox-plugins", daemon=True).start()
        self._index.begin(new, process.pid, seconds * (1 + len(jobs) // 20) + 10)

    def wait(self, seconds: float) -> None:
        """Put what is told within `seconds` into the index; return as soon as everything is."""
        deadline = time.monotonic() + seconds
        while self._ours:
            try:
                told = self._told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if told is None:  # the process has ended
                self._ours.clear()
                break
            key, record = told
            self._ours.discard(key)
            self._index.take(key, record)
        while self._others:
            self._index.read()
            self._others = [one for one in self._others if self._index.is_looked_at(one)]
            if not self._others or time.monotonic() >= deadline:
                break
            time.sleep(POLL)

    @property
    def is_busy(self) -> bool:
        """Whether somebody is still looking at something."""
        return bool(self._ours or self._others)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        for told in _lines(process):
            self._told.put(told)
        self._told.put(None)
        process.wait()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, Record]]:
    assert process.stdout is not None
    for line in process.stdout:
        told: dict[str, Any] = json.loads(line)
        yield told["key"], told["record"]
