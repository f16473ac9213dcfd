"""Where to cut a long recording: the quietest moment near the end of each window, so that no word is torn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SEARCHED = 0.25  # share of a window, at its end, in which the cut is looked for
MOMENT = 0.2  # s over which loudness is measured


def quiet_cuts(audio: np.ndarray, window: int, sampling_rate: int) -> list[int]:
    """Audio (N,) -> sample numbers of the cuts, rising; no piece between them is longer than `window` samples."""
    import numpy as np

    moment = max(int(MOMENT * sampling_rate), 1)
    cuts: list[int] = []
    begin = 0
    while len(audio) - begin > window:
        first = begin + round(window * (1 - SEARCHED))
        searched = audio[first : begin + window].astype(np.float64)
        energy = np.concatenate(([0.0], np.cumsum(searched**2)))
        loudness = energy[moment:] - energy[:-moment]
        begin = first + int(np.argmin(loudness)) + moment // 2
        cuts.append(begin)
    return cuts
