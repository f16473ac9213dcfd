"""A recording -> the stretches that are decoded, each no longer than the model's window.

Where there is speech is said by the silero model that comes with faster-whisper (https://github.com/snakers4/silero-vad),
which reads 16 kHz audio on the processor.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int]
"""First sample, and the one after the last."""

JOINED = 2.0  # s of silence within one stretch, at most: more would be decoded for nothing


@dataclass(frozen=True)
class Voice:
    """What counts as speech."""

    threshold: float = 0.5
    min_silence: float = 0.5
    """s."""
    pad: float = 0.2
    """s, kept before and after."""


def speech(audio: np.ndarray, voice: Voice, *, window: float) -> list[Span]:
    """Audio (N,) at 16 kHz -> where somebody speaks, in order, none longer than `window` s."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=voice.threshold,
        min_silence_duration_ms=round(1000 * voice.min_silence),
        speech_pad_ms=round(1000 * voice.pad),
        max_speech_duration_s=window,
    )
    found = get_speech_timestamps(audio, options)
    return [(int(one["start"]), int(one["end"])) for one in found if one["end"] > one["start"]]


def spoken_only(found: Sequence[Span], *, window: int, joined: int) -> list[Span]:
    """Stretches of speech, neighbours in one piece where it stays within `window` samples and the silence between them
    within `joined` samples."""
    pieces: list[Span] = []
    for begin, end in found:
        for first in range(begin, end, window):  # padding may make one longer than the window
            last = min(first + window, end)
            near = bool(pieces) and first - pieces[-1][1] <= joined and last - pieces[-1][0] <= window
            if near:
                pieces[-1] = (pieces[-1][0], last)
            else:
                pieces.append((first, last))
    return pieces


def everything(found: Sequence[Span], length: int, *, window: int) -> list[Span]:
    """The whole recording, cut in the middle of silences: as few pieces as there can be of `window` samples at most."""
    cuts = [(one[1] + other[0]) // 2 for one, other in itertools.pairwise(found)]
    pieces: list[Span] = []
    begin = 0
    while length - begin > window:
        within = [cut for cut in cuts if begin < cut <= begin + window]
        end = within[-1] if within else begin + window
        pieces.append((begin, end))
        begin = end
    return [*pieces, (begin, length)]
