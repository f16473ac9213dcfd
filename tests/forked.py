"""`vox` in a process of its own, forked from the test's: it can be interrupted and killed, and imports nothing anew.

A fresh interpreter takes seconds to import torch and transformers, on each core that a test uses.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from voxcli.cli.app import main
from voxcli.testing import Project, Result, forget_plugins

Command = Sequence[str | os.PathLike[str]]


class Forked:
    """A child process that runs commands, one after the other, and ends with the code of the last; as a `Popen`."""

    def __init__(self, project: Project, commands: Sequence[Command], *, env: Mapping[str, str] | None = None) -> None:
        self.returncode: int | None = None
        self._streams: list[Any] = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70  # what is raised below is on its stderr
            try:
                code = self._work(project.path, commands, env or {})
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(code)

    def _work(self, folder: Path, commands: Sequence[Command], env: Mapping[str, str]) -> int:
        for number, stream in enumerate(self._streams, start=1):
            os.dup2(stream.fileno(), number)
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False, buffering=1) for number in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.set_num_threads(1)  # the threads of the parent are not here
        _forget_accelerate()
        os.environ.update(env)
        os.chdir(folder)
        code = 0
        for command in commands:
            forget_plugins()
            code = main([os.fspath(one) for one in command])
            if len(commands) > 1:
                os.write(1, f"exit code {code}\n".encode())
        return code

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait for its end; what it has written. One that takes longer is killed, and the test fails."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                self.send_signal(signal.SIGKILL)
                raise AssertionError(f"it has not ended after {timeout:g} s: {self._written()}")
            time.sleep(0.01)
        return self._written()

    def _written(self) -> tuple[str, str]:
        texts = []
        for stream in self._streams:
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
        return texts[0], texts[1]


def popen(project: Project, *arguments: str | os.PathLike[str], env: Mapping[str, str] | None = None) -> Forked:
    """Start `vox ARGUMENTS` in the project's folder; `env` is added to the environment."""
    return Forked(project, [arguments], env=env)


def spawn(project: Project, *arguments: str | os.PathLike[str], env: Mapping[str, str] | None = None) -> Result:
    """Run `vox ARGUMENTS` to its end."""
    process = popen(project, *arguments, env=env)
    out, err = process.communicate()
    assert process.returncode is not None
    return Result(process.returncode, out, err, tuple(os.fspath(one) for one in arguments))


def together(project: Project, commands: Sequence[Command], *, env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run commands in two processes, as torchrun starts them; what both have written, one after the other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        **(env or {}),
    }
    both = [Forked(project, [*commands], env={**shared, "RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")]
    try:
        written = [one.communicate(timeout=180) for one in both]
    finally:
        for one in both:
            with contextlib.suppress(ProcessLookupError):
                one.send_signal(signal.SIGKILL)
    return "".join(out for out, _ in written), "".join(err for _, err in written)


def _forget_accelerate() -> None:
    """A Trainer of an earlier test in this process has said that there is one process."""
    from accelerate.state import AcceleratorState, PartialState

    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()
