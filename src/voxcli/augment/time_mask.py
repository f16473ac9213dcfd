"""Moments of silence: stretches of the clip are muted, as by packets that a call loses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws

if TYPE_CHECKING:
    import numpy as np

_FADE = 0.002  # s: an edge that does not click


@config
class TimeMask:
    """Mutes stretches of the samples. The text stays whole, so that the model learns to guess from what is around."""

    p: float = 0.5
    """Share of the training utterances that are changed."""
    masks: tuple[int, int] = (1, 3)
    """How many stretches, drawn from this range."""
    duration: tuple[float, float] = (0.02, 0.2)
    """Length of each, s, drawn uniformly. A word takes about 0.3."""
    most: float = 0.2
    """The share of a clip that its stretches may take together; they are shortened to it."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        import numpy as np

        low, high = sorted(self.duration)
        lengths = rng.uniform(low, high, size=draws.count(self.masks, rng)) * sampling_rate
        lengths *= min(1.0, self.most * len(audio) / max(float(lengths.sum()), 1e-9))
        kept = np.ones(len(audio), dtype=np.float32)
        fade = max(1, int(_FADE * sampling_rate))
        for length in np.rint(lengths).astype(int):
            begin = int(rng.integers(len(audio) - length + 1)) if length < len(audio) else 0
            inside = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] + 1) / fade
            kept[begin : begin + length] = np.minimum(kept[begin : begin + length], np.maximum(1.0 - inside, 0.0))
        return audio * kept

    def longest(self, duration: float) -> float:
        """What is muted is still there."""
        return duration

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is muted."""
        if not any(self.masks):
            return "masks is 0"
        return "nothing may be muted: most is 0" if self.most == 0 else None

    def findings(self) -> Iterator[Finding]:
        """Shares that are none; stretches longer than speech."""
        yield from bounds.share(self.p)
        yield from bounds.within("masks", self.masks, 0, 100, "1 to 3")
        yield from bounds.within("duration", self.duration, 0.001, 10, "0.02 to 0.2: a word takes about 0.3", unit="s")
        yield from bounds.within("most", self.most, 0, 1, "0.2: a fifth of the clip")
