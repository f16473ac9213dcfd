"""Ctrl-C and SIGTERM, turned into "finish this step, then stop"; a second one ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """While it is entered, the first signal sets `requested` and the second one raises `KeyboardInterrupt`.

    Clusters send SIGTERM before they take a machine back, so it is treated like Ctrl-C. Outside the main thread, where
    Python allows no handlers, it does nothing.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.requested = False
        self._announce = announce
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._announce("interrupted: finishing this step and writing a checkpoint; once more ends at once")
