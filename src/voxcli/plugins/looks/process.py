"""Runs in a process of its own: plugins in, one line of JSON for each out, and the same into the index.

Each plugin is imported in a fork of this process, so that it costs 10 ms instead of a fresh interpreter and meets
nothing that the one before it has changed. A fork that crashes, ends the process or hangs costs that plugin. The
command that asked may be gone by then: what was found is in the index for the next one. Between the fork and this
process stands another one, so that a plugin that kills its parent kills that.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import voxcli.api  # noqa: F401  every plugin imports it, so that each fork has it
from voxcli.plugins.looks import examine, index
from voxcli.plugins.looks.look import Failure, Look, plain

TOGETHER = 3  # plugins that are imported at the same time, beside those that take long
LONG = 0.5  # s after which a plugin takes long: it may hang, and the others do not wait for it
MOST = 24  # plugins in all at the same time
SAVE_EVERY = 0.3  # s
TICK = 0.05  # s
GRACE = 1.0  # s that a process gets to be gone after the one it waits for


_dumps, _write, _exit = json.dumps, os.write, os._exit  # as they were before any plugin had its hands on them


@dataclass
class _Child:
    """One plugin that is being looked at."""

    job: dict[str, Any]
    process: int
    pipe: int
    printed: BinaryIO
    begin: float
    told: bytearray = field(default_factory=bytearray)


def main(arguments: Sequence[str]) -> None:
    """The last of `arguments`: the path of the index. On stdin, as JSON: the plugins to look at."""
    place = Path(arguments[-1])
    asked = json.load(sys.stdin)
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(null, standard)
    waiting = list(asked)
    running: list[_Child] = []
    unsaved: dict[str, dict[str, Any]] = {}
    saved = time.monotonic()
    with selectors.DefaultSelector() as selector:
        while waiting or running:
            while waiting and len(running) < MOST and sum(map(_is_young, running)) < TOGETHER:
                child = _begin(waiting.pop(0))
                selector.register(child.pipe, selectors.EVENT_READ, child)
                running.append(child)
            for key, _ in selector.select(TICK):
                piece = os.read(key.fd, 1 << 16)
                key.data.told += piece
                if not piece:  # the plugin closed it, or has ended
                    selector.unregister(key.fd)
            untold = {}
            for child in [one for one in running if _is_over(one)]:
                running.remove(child)
                with contextlib.suppress(KeyError):
                    selector.unregister(child.pipe)
                untold[child.job["key"]] = _ended(child)
            unsaved |= untold
            if unsaved and (time.monotonic() - saved > SAVE_EVERY or not (waiting or running)):
                with contextlib.suppress(OSError):  # the next command looks again
                    index.save(place, unsaved)
                unsaved, saved = {}, time.monotonic()
            with contextlib.suppress(OSError):  # the command that asked has ended
                for name, record in untold.items():
                    _put(out, {"key": name, "record": record})
    os._exit(0)


def _begin(job: dict[str, Any]) -> _Child:
    """Fork twice: the outer process waits for the inner one, which imports the plugin."""
    read, write = os.pipe()
    printed = tempfile.TemporaryFile()  # noqa: SIM115  closed where the child has ended
    process = os.fork()
    if process == 0:
        os.close(read)
        child = os.fork()
        if child == 0:
            os.setsid()  # so that what it starts can be ended with it
            signal.alarm(round(job["seconds"]) + 10)  # should the looking process be killed, nobody else would end it
            for standard in (1, 2):
                os.dup2(printed.fileno(), standard)
            _in_child(job, write)
        _put(write, {"status": os.waitpid(child, 0)[1]})
        _exit(0)
    os.close(write)
    return _Child(job, process, read, printed, time.monotonic())


def _in_child(job: dict[str, Any], write: int) -> None:
    """Look at the plugin and tell. Never returns."""
    try:
        _put(write, {"process": os.getpid()})
        found = examine.look_at(job["name"], job["target"], job["distribution"], job["version"])
        _put(write, _content(job, found))
    finally:
        _exit(0)


def _content(job: dict[str, Any], found: Look | Failure) -> dict[str, Any]:
    place = found.place if isinstance(found, Failure) else ""
    files = examine.files(job["target"], place)
    return {"found": plain(found), "failed": isinstance(found, Failure), "files": files}


def _is_young(child: _Child) -> bool:
    return time.monotonic() - child.begin < LONG


def _is_late(child: _Child) -> bool:
    return time.monotonic() - child.begin > float(child.job["seconds"])


def _is_over(child: _Child) -> bool:
    """It has told everything, or it has ended, or its time is up."""
    if child.told.count(b"\n") > 1 or _is_late(child):
        return True
    return os.waitid(os.P_PID, child.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended(child: _Child) -> dict[str, Any]:
    """Kill what is left of it and what it started; what the index keeps of it."""
    _drain(child)
    told = _told(child)
    seconds = float(child.job["seconds"]) if "found" not in told and _is_late(child) else None
    if "process" in told:
        with contextlib.suppress(OSError):
            os.killpg(told["process"], signal.SIGKILL)
    _reap(child.process)
    _drain(child)
    os.close(child.pipe)
    told |= _told(child)
    with child.printed as printed:
        printed.seek(0)
        said = printed.read(examine.PRINTED * 4).decode("utf-8", errors="replace")
    if "found" not in told:
        told = _content(child.job, _failure(told.get("status"), seconds))
    if not told["failed"]:
        told["found"]["printed"] = " ".join(said.split())[: examine.PRINTED]
    return index.record(told, child.job)


def _drain(child: _Child) -> None:
    os.set_blocking(child.pipe, False)
    with contextlib.suppress(BlockingIOError):  # what it started may still hold the other end
        while piece := os.read(child.pipe, 1 << 16):
            child.told += piece


def _told(child: _Child) -> dict[str, Any]:
    """What its lines say: its process, then what it found, then how it ended."""
    told: dict[str, Any] = {}
    for line in child.told.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, TypeError):  # the plugin wrote something of its own in between
            told |= json.loads(line)
    return told


def _reap(process: int) -> None:
    """Wait for the outer process, which ends after the inner one; a plugin may have stopped it."""
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        if os.waitpid(process, os.WNOHANG)[0]:
            return
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _failure(status: int | None, seconds: float | None) -> Failure:
    """How it ended: `status` as `waitpid` has it, or after `seconds` without an end."""
    if seconds is not None:
        help = f"{index.SECONDS_VARIABLE}={10 * seconds:g} gives it more time"
        return Failure(f"its import did not end within {seconds:g} s", help=help, hung=seconds)
    if status is None:
        return Failure("its import kills the process that looks at it")
    if os.WIFSIGNALED(status):
        try:
            name = signal.Signals(os.WTERMSIG(status)).name
        except ValueError:
            name = f"signal {os.WTERMSIG(status)}"
        return Failure(f"its import kills the process with {name}")
    return Failure(f"its import ends the process with exit code {os.waitstatus_to_exitcode(status)}")


def _put(pipe: int, content: dict[str, Any]) -> None:
    """Write a line of JSON, whole."""
    line = _dumps(content).encode() + b"\n"
    while line:
        line = line[_write(pipe, line) :]
