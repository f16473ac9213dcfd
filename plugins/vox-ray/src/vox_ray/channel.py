"""What processes of a run tell each other: workers say lines, bars and how they ended; the driver asks them to stop.

The channel is an actor on the driver's machine. A worker's `Line` is the `Progress` of its run: it sends what is said a
few times a second. The driver's `Screen` shows it with the `Progress` of the command line, so that a bar is a bar.
"""

from __future__ import annotations

import itertools
import logging
import threading
from types import TracebackType
from typing import Any, Self

from voxcli.progress import NULL, Bar, Progress

PAUSE = 0.2  # s between two letters of a worker, and so at most until it hears that it is to stop

Event = tuple[Any, ...]
"""("say", text), ("log", level, text), ("task", number, description, total, unit), ("advance", number, amount, facts),
("close", number), ("joined", rank, host), ("failed", {rank: text})"""


class Channel:
    """The actor. Its methods never wait."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ends: dict[int, tuple[str, Any]] = {}
        self.stopping = self.over = self.begun = self.seen = False

    async def join(self, rank: int, host: str) -> dict[str, bool]:
        """A worker begins. `over`: it need not; `resume`: workers before it had begun to train; `seen`: all of them
        have seen the run's folder."""
        if not self.over:
            self.ends.pop(rank, None)
            self.events.append(("joined", rank, host))
        return {"over": self.over, "resume": self.begun, "seen": self.seen}

    async def tell(self, events: list[Event]) -> bool:
        """Events of a worker; whether it is to stop."""
        self.events.extend(events)
        return self.stopping

    async def all_see(self) -> None:
        """All workers see the run's folder."""
        self.seen = True

    async def has_begun(self) -> None:
        """A run is prepared: whoever comes after goes on with it."""
        self.begun = True

    async def end(self, rank: int, kind: str, value: Any, events: list[Event]) -> None:
        """A worker has ended: "finished" with what its runs came to, "interrupted", "error" with a `VoxError`, or
        "defect" with a traceback. The first error is the one that counts, and no worker begins after it."""
        self.events.extend(events)
        self.ends.setdefault(rank, (kind, value))
        self.over = self.over or kind in ("error", "interrupted")

    async def failed(self, why: dict[int, str]) -> None:
        """Workers have died or raised, and Ray decides what becomes of it."""
        self.events.append(("failed", why))

    async def take(self) -> tuple[list[Event], dict[int, tuple[str, Any]]]:
        """What has happened since the last call, and how the workers have ended so far, in that order."""
        taken, self.events = self.events, []
        return taken, dict(self.ends)

    async def stop(self) -> None:
        """Let every worker end after its next step."""
        self.stopping = True


class Line:
    """A worker's end: the progress of its run, and its ear. `stopped` is set once the driver asks it to stop."""

    def __init__(self, channel: Any) -> None:
        self.stopped = threading.Event()
        self._channel = channel
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._post, name="vox-ray-line", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """One line."""
        self.put(("say", text))

    def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
        """A bar on the driver's screen."""
        number = next(self._numbers)
        self.put(("task", number, description, total, unit))
        return _SentBar(self, number)

    def put(self, event: Event) -> None:
        """Send an event with the next letter; steps of one bar are added up."""
        with self._lock:
            last = self._events[-1] if self._events else None
            if event[0] == "advance" and last is not None and last[:2] == event[:2]:
                self._events[-1] = ("advance", event[1], last[2] + event[2], {**last[3], **event[3]})
            else:
                self._events.append(event)

    def close(self) -> list[Event]:
        """Say nothing more; what has not been sent."""
        self._closed.set()
        self._thread.join()
        return self._taken()

    def _taken(self) -> list[Event]:
        with self._lock:
            taken, self._events = self._events, []
        return taken

    def _post(self) -> None:
        import ray

        while not self._closed.wait(PAUSE):
            try:
                if ray.get(self._channel.tell.remote(self._taken())):
                    self.stopped.set()
            except ray.exceptions.RayError:  # the driver has gone, and Ray ends this process
                return


class _SentBar:
    """A bar of a worker."""

    def __init__(self, line: Line, number: int) -> None:
        self._line, self._number = line, number

    def advance(self, amount: float = 1, **facts: Any) -> None:
        self._line.put(("advance", self._number, amount, facts))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.put(("close", self._number))


class LogLines(logging.Handler):
    """Sends the log records of a worker to the driver."""

    def __init__(self, line: Line, level: int) -> None:
        super().__init__(level)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        self._line.put(("log", record.levelno, record.getMessage()))


class Screen:
    """Shows the events of workers with a `Progress`."""

    def __init__(self, progress: Progress = NULL) -> None:
        self._progress = progress
        self._bars: dict[int, Bar] = {}
        self._log = logging.getLogger("voxcli.vox_ray")

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case ("say", text):
                self._progress.say(text)
            case ("log", level, text):
                self._log.log(level, "%s", text)
            case ("task", number, description, total, unit):
                self._bars[number] = self._progress.task(description, total=total, unit=unit).__enter__()
            case ("advance", number, amount, facts) if number in self._bars:
                self._bars[number].advance(amount, **facts)
            case ("close", number) if number in self._bars:
                self._bars.pop(number).__exit__(None, None, None)

    def clear(self) -> None:
        """Take away the bars of workers that have gone."""
        while self._bars:
            self._bars.popitem()[1].__exit__(None, None, None)
