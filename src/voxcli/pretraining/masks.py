"""Which frames of an utterance are hidden in pre-training, and which others each of them is told apart from.

As in wav2vec 2.0 (arXiv 2006.11477, 3.1 and 3.2): spans of one length whose beginnings are drawn without replacement
and may overlap; distractors are drawn from the other hidden frames of the same utterance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def least_frames(length: int) -> int:
    """The shortest utterance that can be hidden in part: one span, and a frame that is heard."""
    return length + 1


def spans(n_frames: int, *, share: float, length: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of T frames are hidden, (T,): `share` * T / `length` spans, the rounding drawn, at least one.

    So many frames are hidden at most that one is heard. Raises `ValueError` below `least_frames`.
    """
    import numpy as np

    if n_frames < least_frames(length):
        raise ValueError(f"{n_frames} frames cannot be hidden in part by spans of {length}")
    wanted = int(share * n_frames / length + rng.random())
    count = min(max(wanted, 1), (n_frames - 1) // length)
    begins = rng.choice(n_frames - length + 1, count, replace=False)
    hidden = np.zeros(n_frames, dtype=np.bool_)
    hidden[(begins[:, None] + np.arange(length)).reshape(-1)] = True
    return hidden


def distractors(hidden: NDArray[np.bool_], count: int, *, rng: np.random.Generator) -> NDArray[np.int32]:
    """For each hidden frame `count` other hidden frames of the utterance, by their numbers; (T, count), 0 elsewhere.

    Drawn uniformly and with replacement, never the frame itself. `hidden` (T,) has two frames at least.
    """
    import numpy as np

    places = np.flatnonzero(hidden)
    drawn = rng.integers(0, len(places) - 1, (len(places), count))
    drawn += drawn >= np.arange(len(places))[:, None]  # passes over the frame itself
    found = np.zeros((len(hidden), count), dtype=np.int32)
    found[places] = places[drawn]
    return found
