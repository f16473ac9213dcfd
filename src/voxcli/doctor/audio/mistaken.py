"""What was heard -> files whose header names a wrong rate, and rows whose duration is not their file's.

Both show as a duration that does not fit. A ratio of two usual sampling rates speaks for the header; the pitch of the
voice and the rate of speech, compared with all other clips, decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voxcli.api import SPLITS
from voxcli.audio.sndfile import END_SLACK
from voxcli.doctor.audio.listening import Clip, Listening
from voxcli.doctor.checks.thresholds import (
    LENGTH_SHARE,
    LENGTH_SLACK,
    PACES,
    RATE_MATCH,
    SLOWED,
    SLOWED_ONE,
    USUAL_RATES,
    VOICES,
)

ENOUGH = 5  # clips whose median stands for a voice and a rate of speech
GROUP = 3  # clips of one rate that are judged together
ONE_VOICE = 1.5  # times as high, nine tenths of the clips over one tenth of them
ROUNDED = 0.006  # s by which a written duration is rounded


@dataclass(frozen=True)
class Mistaken:
    """Each clip stands in one of the two."""

    rates: list[tuple[Clip, int]]
    """Clips whose header is wrong, with the rate that fits, Hz."""
    durations: list[Clip]
    """Clips whose row is wrong."""


@dataclass(frozen=True)
class Usual:
    """Medians of the clips that nothing is wrong with."""

    pitch: float | None
    """Hz"""
    letters: float | None
    """Per s."""
    rate: int
    """The sampling rate of most, Hz."""
    one_voice: bool
    """Whether nearly all have about the same pitch, so that a single clip with another one stands out."""


def mistaken(listening: Listening) -> Mistaken:
    """Found once for each context."""
    return listening.context._once("mistaken", lambda: _mistaken(listening))


def _mistaken(listening: Listening) -> Mistaken:
    differing = _differing(listening)
    names = {(clip.split, clip.row) for clip in differing}
    fine = [clip for clip in listening.clips if (clip.split, clip.row) not in names and clip.header is not None]
    usual = _usual(fine)
    rates, durations = [], []
    for clip in differing:
        rate = _fitting_rate(clip)
        if rate is not None and _header_is_wrong(clip, rate, usual):
            rates.append((clip, rate))
        else:
            durations.append(clip)
    return Mistaken(rates + (_slowed(fine, usual) or _all_slowed(fine)), durations)


def _differing(listening: Listening) -> list[Clip]:
    """Clips whose file has another length than their row says."""
    longer, shorter = [], []
    for clip in listening.clips:
        said = clip.utterance.duration
        if clip.header is None or said is None or listening.tables[clip.split].column("measured")[clip.row] == "true":
            continue
        there = clip.header.duration - clip.utterance.offset
        if said - there > max(END_SLACK, 0.01 * said):
            longer.append(clip)
        elif not clip.utterance.offset and there - said > max(LENGTH_SLACK, LENGTH_SHARE * there):
            shorter.append(clip)
    return longer + _alone(shorter, listening)


def _alone(clips: Sequence[Clip], listening: Listening) -> list[Clip]:
    """Those whose file no other row names: the others read a stretch of it."""
    if not clips:
        return []
    wanted = pa.array([str(clip.utterance.audio) for clip in clips], pa.string())
    count: dict[str, int] = {}
    for split in SPLITS:
        paths = listening.context.data.listed(split).column("audio").array
        for one in pc.value_counts(pc.filter(paths, pc.is_in(paths, value_set=wanted))).to_pylist():
            count[one["values"]] = count.get(one["values"], 0) + one["counts"]
    return [clip for clip in clips if count.get(str(clip.utterance.audio), 0) < 2]


def _fitting_rate(clip: Clip) -> int | None:
    """The usual rate at which the file would have the duration that its row says, Hz."""
    if clip.header is None or not clip.utterance.duration or clip.utterance.offset:
        return None
    said = clip.utterance.duration
    implied = clip.header.sampling_rate * clip.header.duration / said
    slack = RATE_MATCH + ROUNDED / said
    fits = [rate for rate in USUAL_RATES if abs(implied / rate - 1) < slack and rate != clip.header.sampling_rate]
    return fits[0] if fits else None


def _header_is_wrong(clip: Clip, rate: int, usual: Usual) -> bool:
    """Whether voice and rate of speech are those of the others at `rate`, and not as the header has them."""
    if clip.header is None or not clip.utterance.duration:
        return False
    letters = len(clip.utterance.text or "")
    as_said, as_there = _distance(None, letters / clip.utterance.duration, usual), 0.0
    as_there = _distance(None, letters / clip.header.duration, usual)
    if clip.sound is not None and clip.sound.pitch is not None:
        as_said += _distance(clip.sound.pitch * rate / clip.header.sampling_rate, None, usual)
        as_there += _distance(clip.sound.pitch, None, usual)
    return as_said <= as_there


def _distance(pitch: float | None, letters: float | None, usual: Usual) -> float:
    far = 0.0
    if pitch and usual.pitch:
        far += abs(math.log(pitch / usual.pitch))
    if letters and usual.letters:
        far += abs(math.log(letters / usual.letters))
    return far


def _usual(clips: Sequence[Clip]) -> Usual:
    rates = [clip.header.sampling_rate for clip in clips if clip.header is not None]
    rate = max(set(rates), key=rates.count) if rates else 0
    same = [clip for clip in clips if clip.header is not None and clip.header.sampling_rate == rate]
    pitches = [clip.sound.pitch for clip in same if clip.sound is not None and clip.sound.pitch is not None]
    low, high = np.quantile(pitches, (0.1, 0.9)).tolist() if len(pitches) >= ENOUGH else (1.0, 2.0)
    return Usual(*_medians(same), rate, high < ONE_VOICE * low)


def _medians(clips: Sequence[Clip]) -> tuple[float | None, float | None]:
    """(pitch, letters a second), None where too few have them."""
    pitches = [clip.sound.pitch for clip in clips if clip.sound is not None and clip.sound.pitch is not None]
    letters = [
        len(clip.utterance.text) / clip.utterance.duration
        for clip in clips
        if clip.utterance.text and clip.utterance.duration
    ]
    return (
        float(np.median(pitches)) if len(pitches) >= min(ENOUGH, len(clips)) and pitches else None,
        float(np.median(letters)) if len(letters) >= min(ENOUGH, len(clips)) and letters else None,
    )


def _slowed(clips: Sequence[Clip], usual: Usual) -> list[tuple[Clip, int]]:
    """Clips of another rate than most, spoken lower and slower (or higher and faster) by the ratio of the rates."""
    found: list[tuple[Clip, int]] = []
    if usual.pitch is None or usual.letters is None:
        return found
    groups: dict[int, list[Clip]] = {}
    for clip in clips:
        if clip.header is not None and clip.header.sampling_rate != usual.rate:
            groups.setdefault(clip.header.sampling_rate, []).append(clip)
    for rate, group in groups.items():
        ratio = math.log(rate / usual.rate)
        if abs(ratio) < math.log(1.3):
            continue
        parts = [group] if len(group) >= GROUP else [[clip] for clip in group if usual.one_voice]
        for part in parts:
            pitch, letters = _medians(part)
            lower, slower = (SLOWED, SLOWED) if len(part) >= GROUP else SLOWED_ONE
            if not pitch or not letters:
                continue
            if _near(pitch / usual.pitch, ratio, lower) and _near(letters / usual.letters, ratio, slower):
                found += [(clip, usual.rate) for clip in part]
    return found


def _near(one: float, ratio: float, share: float) -> bool:
    """`ratio` as a logarithm."""
    return abs(math.log(one) - ratio) < share * abs(ratio)


def _all_slowed(clips: Sequence[Clip]) -> list[tuple[Clip, int]]:
    """All clips, where their voices and their rate of speech together are nobody's."""
    pitch, letters = _medians([clip for clip in clips if clip.sound is not None])
    if len(clips) < ENOUGH or pitch is None or letters is None:
        return []
    factor = (
        2.0 if pitch < VOICES[0] and letters < PACES[0] else 0.5 if pitch > VOICES[1] and letters > PACES[1] else 1.0
    )
    wanted = [(clip, factor * clip.header.sampling_rate) for clip in clips if clip.header is not None]
    if factor == 1.0 or any(rate not in USUAL_RATES for _, rate in wanted):
        return []
    return [(clip, int(rate)) for clip, rate in wanted]
