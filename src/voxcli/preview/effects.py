"""What an augmentation did to a clip, measured from the samples before and after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxcli.audio.level import decibels, power

_UNRELATED = -10.0  # dB: below, what came out is no longer the clip plus something


@dataclass(frozen=True)
class Effect:
    """One augmentation of one draw."""

    name: str
    """Its `type` in the recipe."""
    p: float
    applied: bool
    unchanged: bool
    """Whether every sample is as it was."""
    before: float
    """Length, s."""
    after: float
    level_before: float
    """Of full scale, dB."""
    level_after: float
    peak: float
    """Largest sample afterwards."""
    snr: float | None
    """What is left of the clip against all that was added or taken away, dB; None where that cannot be told: nothing
    changed, another length, another pitch.
    """


def effect(name: str, p: float, applied: bool, before: np.ndarray, after: np.ndarray, sampling_rate: int) -> Effect:
    """Measured from samples (N,) and (M,)."""
    return Effect(
        name=name,
        p=p,
        applied=applied,
        unchanged=bool(np.array_equal(before, after)),
        before=len(before) / sampling_rate,
        after=len(after) / sampling_rate,
        level_before=decibels(power(before)),
        level_after=decibels(power(after)),
        peak=float(np.abs(after).max(initial=0.0)),
        snr=ratio(before, after) if applied else None,
    )


def ratio(before: np.ndarray, after: np.ndarray) -> float | None:
    """dB between the part of `after` that is `before` at any level and the rest of it; both (N,).

    None where lengths differ, where nothing but the level changed, and where hardly anything of it is left.
    """
    if len(before) != len(after) or not len(before):
        return None
    clean, heard = before.astype(np.float64), after.astype(np.float64)
    energy = float(clean @ clean)
    if energy <= 0:
        return None
    kept = clean * (float(clean @ heard) / energy)
    rest = power(heard - kept)
    if rest <= 1e-12 * power(heard):
        return None
    found = decibels(power(kept) / rest)
    return found if found > _UNRELATED else None
