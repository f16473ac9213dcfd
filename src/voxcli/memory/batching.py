"""The keys of `[train]` that decide a batch's size -> smaller batches with as many clips in an optimizer step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from voxcli.memory.setup import Setup
from voxcli.memory.worst import Clips
from voxcli.recipe.schema import Train

_PARTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Into how many batches one is divided."""


@dataclass(frozen=True)
class Batching:
    """The keys that decide how large a batch is."""

    duration: float | None
    size: int | None
    accumulation: int

    @classmethod
    def of(cls, train: Train) -> Batching:
        """What `[train]` says."""
        return cls(train.batch_duration, train.per_device_train_batch_size, train.gradient_accumulation_steps)

    @property
    def words(self) -> str:
        """For a person."""
        size = f"batches of {self.duration:g} s" if self.duration is not None else f"batches of {self.size}"
        return f"{size} x {self.accumulation}"

    def smaller(self, clips: Clips) -> list[Batching]:
        """This one, then ever smaller ones with more accumulation, down to single clips."""
        made = [self]
        longest = float(clips.lengths[-1])
        alike = len(clips) > 0 and clips.lengths[0] == longest  # a window: only whole clips count
        for parts in _PARTS[1:]:
            if self.duration is None:
                assert self.size is not None
                count = max(1, self.size // parts)
                one = Batching(None, count, max(1, round(self.size * self.accumulation / count)))
            elif alike:
                whole = max(1, int((self.duration + 1e-6) / longest))
                count = max(1, whole // parts)
                one = Batching(count * longest, None, max(1, round(whole * self.accumulation / count)))
            else:
                one = Batching(round(self.duration / parts, 1), None, self.accumulation * parts)
            if one != made[-1]:
                made.append(one)
            if (one.size == 1) if self.duration is None else (one.duration or 0.0) <= longest:
                break  # the longest clip is alone in its batch
        return made

    def at_most(self, duration: float) -> Batching:
        """With batches of that many s at most, and as many clips a step as before."""
        if self.duration is None or self.duration <= duration:
            return self
        parts = math.ceil(self.duration / duration)
        return Batching(round(self.duration / parts, 1), None, self.accumulation * parts)

    def changes(self, own: Batching) -> dict[str, Any]:
        """The keys that differ from `own`."""
        keys = {
            "train.batch_duration": (self.duration, own.duration),
            "train.per_device_train_batch_size": (self.size, own.size),
            "train.gradient_accumulation_steps": (self.accumulation, own.accumulation),
        }
        return {key: new for key, (new, old) in keys.items() if new != old}

    def applied(self, setup: Setup) -> Setup:
        """A setup with these keys."""
        return setup.with_train(
            batch_duration=self.duration,
            per_device_train_batch_size=self.size,
            gradient_accumulation_steps=self.accumulation,
        )
