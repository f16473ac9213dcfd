"""A sequence of tokens -> the frames of its most probable alignment (Viterbi over a CTC trellis).

The search says in which frames it followed each prefix. The trellis is that narrow band, so the work grows with the
length of a recording and not with its square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcli.alphabet import Emission

if TYPE_CHECKING:
    import numpy as np

_NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Span:
    """A token, and the first and the last frame after which it may be the newest."""

    token: int
    first: int
    last: int


def aligned(log_probabilities: np.ndarray, blank: int, spans: Sequence[Span]) -> list[Emission]:
    """Log-probabilities (T, V) and L tokens in order -> where each of them is.

    A state is (number of tokens so far, whether the frame carries the newest). Raises `ValueError` where the spans
    leave no alignment.
    """
    n_frames = len(log_probabilities)
    if not spans:
        return []
    lasts = [n_frames - 1] * (len(spans) + 1)  # after its last frame a prefix has grown, and so have all after it
    for place in range(len(spans) - 1, -1, -1):
        lasts[place + 1] = min(spans[place].last, lasts[place + 2] if place + 2 < len(lasts) else n_frames - 1)
    lasts[-1] = n_frames - 1
    lasts[0] = min(lasts[0], lasts[1])
    score: dict[tuple[int, bool], float] = {(0, False): 0.0}
    steps: list[dict[tuple[int, bool], tuple[int, bool]]] = []
    for frame in range(n_frames):
        row = log_probabilities[frame]
        silent = float(row[blank])
        new: dict[tuple[int, bool], float] = {}
        came: dict[tuple[int, bool], tuple[int, bool]] = {}

        def reach(state: tuple[int, bool], value: float, source: tuple[int, bool]) -> None:
            if value > new.get(state, _NEVER):  # noqa: B023 - called within this turn only
                new[state], came[state] = value, source  # noqa: B023

        for (count, voiced), value in score.items():
            if frame <= lasts[count]:
                reach((count, False), value + silent, (count, voiced))
                if voiced:
                    reach((count, True), value + float(row[spans[count - 1].token]), (count, voiced))
            if count < len(spans) and spans[count].first <= frame <= lasts[count + 1]:
                token = spans[count].token
                if not (voiced and spans[count - 1].token == token):
                    reach((count + 1, True), value + float(row[token]), (count, voiced))
        score = new
        steps.append(came)
    ends = [state for state in ((len(spans), True), (len(spans), False)) if state in score]
    if not ends:
        raise ValueError(f"{len(spans)} tokens have no alignment with {n_frames} frames")
    state = max(ends, key=score.__getitem__)
    frames: list[list[int]] = [[] for _ in spans]
    for frame in range(n_frames - 1, -1, -1):
        if state[1]:
            frames[state[0] - 1].append(frame)
        state = steps[frame][state]
    return [
        Emission(
            span.token,
            min(own),
            max(own) + 1,
            math.exp(sum(float(log_probabilities[t, span.token]) for t in own) / len(own)),
        )
        for span, own in zip(spans, frames, strict=True)
    ]
