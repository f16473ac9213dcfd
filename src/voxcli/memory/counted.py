"""What a step really takes: it runs on the present device, and the bytes of its tensors are counted."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
import torch


class Allocations:
    """Context: every allocation and release of torch's CPU allocator, also those made within operations.

    The profiler reports them (https://docs.pytorch.org/docs/stable/profiler.html, `profile_memory`). Tensors that were
    alive before are not known to it: bytes are relative to those at the start.
    """

    def __init__(self) -> None:
        self._profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
        self._events: list[tuple[int, int]] = []
        self._marks: list[int] = []

    def __enter__(self) -> Allocations:
        self._profile.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._profile.__exit__(kind, error, trace)
        profiler: Any = self._profile.profiler
        for event in profiler.kineto_results.events():
            if event.name() == "[memory]" and event.device_type() == torch.profiler.DeviceType.CPU:
                self._events.append((event.start_ns(), event.nbytes()))
        self._events.sort(key=lambda pair: pair[0])

    @property
    def curve(self) -> np.ndarray:
        """(n_events,), int64: bytes after each event."""
        return np.cumsum([n_bytes for _, n_bytes in self._events], dtype=np.int64)

    @property
    def peak(self) -> int:
        """The most bytes at one time, at least 0."""
        return int(max(self.curve.max(initial=0), 0))
