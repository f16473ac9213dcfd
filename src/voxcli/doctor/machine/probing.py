"""Commands that may crash, hang or load what must not be loaded here -> what each of them printed and how it ended.

All of them run at the same time, each in a session of its own, and write into files instead of pipes: what a killed
command has started itself cannot keep its reader waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main(sys.argv[2:])"
_GRACE = 1.0  # s that a killed process gets to be gone; one that hangs in a driver never is


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int | None
    """Exit code, negative for a signal; None where it was still running when its time was up."""
    out: str
    err: str

    @property
    def ending(self) -> str:
        """The end in words: "killed by SIGSEGV", "exit code 1", "no answer"."""
        if self.code is None:
            return "no answer"
        if self.code < 0:
            try:
                return f"killed by {signal.Signals(-self.code).name}"
            except ValueError:
                return f"killed by signal {-self.code}"
        return f"exit code {self.code}"

    @property
    def complaint(self) -> str:
        """The last line that it wrote to stderr."""
        return next((line.strip() for line in self.err.splitlines()[::-1] if line.strip()), "")


def python(module: str, *arguments: str) -> list[str]:
    """The command that calls `main(arguments)` of a module of voxcli in a fresh interpreter with this one's path."""
    return [sys.executable, "-P", "-c", _BOOT.format(module=module), json.dumps(sys.path), *arguments]


def run(commands: Mapping[str, Sequence[str]], *, seconds: float) -> dict[str, Done]:
    """Run commands at the same time; those that take longer than `seconds` are killed."""
    running: dict[str, tuple[subprocess.Popen[bytes] | None, IO[bytes], IO[bytes], str]] = {}
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            running[name] = (*_started(command, out, err, stack),)
        return {name: _ended(*one, deadline) for name, one in running.items()}


def _started(
    command: Sequence[str], out: IO[bytes], err: IO[bytes], stack: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes] | None, IO[bytes], IO[bytes], str]:
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=os.name == "posix"
        )
    except OSError as error:  # a script without its interpreter, a file of another architecture
        return None, out, err, f"{command[0]}: {error.strerror or error}"
    stack.callback(_kill, process)
    return process, out, err, ""


def _ended(
    process: subprocess.Popen[bytes] | None, out: IO[bytes], err: IO[bytes], failed: str, deadline: float
) -> Done:
    if process is None:
        return Done(127, "", failed)
    code: int | None
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        code = None
        _kill(process)
    return Done(code, _read(out), _read(err))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it has started."""
    if process.poll() is not None:
        return
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")
