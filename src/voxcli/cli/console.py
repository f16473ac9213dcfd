"""What a person sees: results on stdout, progress and log lines on stderr. The only module that imports rich.

On a terminal a live bar with rate, time left and facts; anywhere else plain lines, about one in ten seconds and one at
the end, never wrapped and never cut. NO_COLOR (https://no-color.org) and TERM=dumb are respected.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from voxcli.progress import NULL, Bar, Progress

if TYPE_CHECKING:
    from types import TracebackType

WORTH_A_LINE = 1.0  # s: shorter work ends without a line of its own
PLAIN_SECONDS = 10.0  # between two lines about one task where there is no terminal

_verbosity = 0
_live: Any = None


def start(*, verbosity: int = 0) -> None:
    """Set how much is said: -1 errors and results, 0 the usual, 1 log lines of info, 2 everything."""
    global _verbosity
    _verbosity = verbosity
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    ours = logging.getLogger("voxcli")
    for handler in [one for one in ours.handlers if isinstance(one, _Lines)]:
        ours.removeHandler(handler)
    ours.addHandler(_Lines(level))
    ours.setLevel(level)
    ours.propagate = "PYTEST_CURRENT_TEST" in os.environ  # so that pytest's caplog sees it


def write(text: str) -> None:
    """A result on stdout, as it is; above a live bar where both are on the same terminal."""
    text = text if text.endswith("\n") else text + "\n"
    if _live is not None and sys.stdout.isatty():
        _live.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def write_json(value: Any) -> None:
    """A result for a script on stdout."""
    write(json_text(value))


def json_text(value: Any) -> str:
    """Indented JSON with the letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def say(text: str) -> None:
    """A line on stderr that is no result; nothing where --quiet is given."""
    if _verbosity >= 0:
        _line(text)


def paint(text: str, style: str) -> str:
    """Text for a result in a style of rich ("bold red"); as it is where stdout is no terminal, or NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    from rich.style import Style

    return Style.parse(style).render(text)


def progress() -> Progress:
    """How the running command shows its progress."""
    if _verbosity < 0:
        return NULL
    return _Live() if _is_terminal() else _Plain()


def answers() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty()


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _line(text: str) -> None:
    if _live is not None:
        _live.console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        print(text, file=sys.stderr, flush=True)


class _Lines(logging.Handler):
    """Log records as lines on stderr, above a live bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _line(f"{record.levelname.lower()}: {record.getMessage()}")
        except (OSError, ValueError):  # stderr is closed
            self.handleError(record)


class _Plain:
    """Progress as lines."""

    def say(self, text: str) -> None:
        _line(text)

    def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
        return _PlainBar(description, total, unit)


class _PlainBar:
    """One task as lines: `training: 120/1000 steps, 4.1 steps/s, 3:34 left, loss 1.23`."""

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done, self._said = 0.0, -1.0
        self._facts: dict[str, Any] = {}
        self._begin = self._last = time.monotonic()

    def advance(self, amount: float = 1, **facts: Any) -> None:
        self._done += amount
        self._facts.update(facts)
        now = time.monotonic()
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            self._tell(now)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now = time.monotonic()
        if self._done and self._said != self._done and (self._said >= 0 or now - self._begin >= WORTH_A_LINE):
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._said = self._done
        parts = _parts(self._done, self._total, self._unit, now - self._begin, self._facts)
        _line(f"{self._description}: {', '.join(parts)}")


def _parts(done: float, total: float | None, unit: str, seconds: float, facts: dict[str, Any]) -> list[str]:
    count = amount(done) if total is None else f"{amount(done)}/{amount(total)}"
    parts = [f"{count} {unit}".rstrip()]
    if seconds > 0 and done:
        rate = done / seconds
        parts.append(f"{fact(rate)} {unit}/s" if unit else f"{fact(rate)}/s")
        if total is not None and done < total:
            parts.append(f"{clock((total - done) / rate)} left")
        else:
            parts.append(clock(seconds))
    return parts + [f"{name} {fact(value)}" for name, value in facts.items() if value is not None]


def amount(value: float) -> str:
    """A count: 1200 -> "1200", 1.5 -> "1.5"."""
    return str(int(value)) if float(value).is_integer() else f"{value:.1f}"


def fact(value: Any) -> str:
    """A figure as it stands beside a bar: three significant digits, text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (abs(value) >= 1000 and value == value and abs(value) != float("inf")):
        return str(round(value))
    return f"{value:.3g}"


def clock(seconds: float) -> str:
    """Seconds as 0:07, 3:34 or 2:03:04."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class _Live:
    """Progress as bars at the bottom of a terminal."""

    def say(self, text: str) -> None:
        _line(text)

    def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
        return _LiveBar(description, total, unit)


class _LiveBar:
    """One bar; nested ones share the display of the outermost."""

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0.0
        self._facts: dict[str, Any] = {}
        self._begin = time.monotonic()
        self._owns = False
        self._task: Any = None

    def __enter__(self) -> Self:
        global _live
        if _live is None:
            _live, self._owns = _display(), True
            _live.start()
        self._begin = time.monotonic()
        self._task = _live.add_task(self._description, total=self._total, facts="")
        return self

    def advance(self, amount: float = 1, **facts: Any) -> None:
        self._done += amount
        self._facts.update(facts)
        if self._task is not None:
            seconds = time.monotonic() - self._begin
            shown = ", ".join(_parts(self._done, self._total, self._unit, seconds, self._facts))
            _live.update(self._task, completed=self._done, facts=shown)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _live
        if self._owns:
            display, _live = _live, None
            display.stop()
        elif self._task is not None:
            _live.remove_task(self._task)
        self._task = None


def _display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[facts]}", markup=False),
        console=Console(stderr=True),
        refresh_per_second=4,
        redirect_stdout=False,  # rich would send results that go to a file to the terminal instead
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, never cut."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)
