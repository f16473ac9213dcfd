"""How long work reports itself without printing: library code calls a `Progress`, the command line shows it.

`NULL` shows nothing, so that every function that takes a progress can be called without one.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self


class Bar(Protocol):
    """One piece of work of known or unknown length, used as a context manager."""

    def advance(self, amount: float = 1, **facts: Any) -> None:
        """`amount` more units are done; `facts` (loss=1.2, lr=1e-4) are shown beside the bar."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progress(Protocol):
    """Where long work reports itself."""

    def say(self, text: str) -> None:
        """One line that is worth telling: a phase begins, something was skipped, a checkpoint was written."""
        ...

    def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
        """Begin a piece of work of `total` units; None where the length is not known."""
        ...


class _Silent:
    """A progress and a bar that show nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
        """A bar that shows nothing."""
        return self

    def advance(self, amount: float = 1, **facts: Any) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing."""


NULL: Progress = _Silent()
