"""The samples of one recording -> figures that checks compare: levels, clipping, channels, spectrum, pitch, a hash.

Levels are dB relative to full scale, a sine of amplitude 1 having -3 (RMS). A recording comes in pieces, so that an
hour costs the memory of a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME = 0.02  # s over which a level is taken
CLICK = 3  # of the loudest frames that may be a click, or a chair
END = 0.05  # s at the end that are compared with the rest
FLAT = 4  # equal samples at the extreme in a row that count as clipped: a natural peak has one or two
NEAR = 0.95  # of full scale, where lossy formats leave what was flat
SPECTRUM = 1024  # samples of a frame whose spectrum is taken
SPECTRA = 64  # of the loudest such frames of a piece
TELEPHONE = 4000.0  # Hz: half the sampling rate of a telephone line
PITCHES = (50.0, 600.0)  # Hz between which a voice is looked for
VOICED = 0.6  # of 1, the autocorrelation from which a frame has a pitch
SILENCE = -120.0  # dB that stand for none at all

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """What a recording is like. Shapes: none; channels are mixed as in training unless it says otherwise."""

    duration: float
    """s"""
    sampling_rate: int
    channels: int
    peak: float
    """Largest sample of all channels, 1 is full scale."""
    level: float
    """dB, of the loudest frames but a few: what is left when a click is taken away."""
    spread: float
    """dB between loud and quiet frames; steady noise has next to none."""
    clipped: float
    """Share of the samples that lie on a flat top."""
    near: float
    """Share of the samples within 5 % of full scale, in runs."""
    offset: float
    """Mean of the samples, 1 is full scale."""
    mixed: float
    """dB of the mix over the mean level of the channels: about 0, and far below where they cancel each other."""
    silent_channels: int
    """Channels without sound beside one that has some."""
    end: float
    """dB of the last 50 ms over the mean level of what is not silent."""
    above: float | None
    """dB of what lies above the telephone's 4 kHz over what lies below; None where the rate has none."""
    pitch: float | None
    """Hz, the median of the voiced frames; None where there are few."""
    not_finite: float | None
    """s where the first sample lies that is NaN or infinite; None where there is none."""
    digest: bytes = field(repr=False)
    """Hash of the samples in 16 bits: equal for equal recordings in any lossless format."""


def hear(pieces: Iterable[tuple[Samples, int]]) -> Sound:
    """`pieces` are (N, channels) or (N,), one after the other, with their rate in Hz; at least one sample in all."""
    heard = _Heard()
    for samples, rate in pieces:
        heard.add(samples[:, None] if samples.ndim == 1 else samples, rate)
    return heard.sound()


class _Heard:
    """What is known after some pieces."""

    def __init__(self) -> None:
        self.rate, self.channels, self.n_samples = 0, 0, 0
        self.peak, self.clipped, self.near, self.total = 0.0, 0, 0, 0.0
        self.frames: list[NDArray[np.float64]] = []
        self.channel_power = np.zeros(0)
        self.mix_power = 0.0
        self.not_finite: float | None = None
        self.spectrum = np.zeros(SPECTRUM // 2 + 1)
        self.pitches: list[NDArray[np.float64]] = []
        self.tail: Any = np.zeros(0, np.float32)
        self.digest = hashlib.blake2b(digest_size=16)

    def add(self, samples: Samples, rate: int) -> None:
        """(N, channels)."""
        if not self.rate:
            self.rate, self.channels = rate, samples.shape[1]
            self.channel_power = np.zeros(self.channels)
        finite = np.isfinite(samples)
        if not finite.all():
            if self.not_finite is None:
                self.not_finite = (self.n_samples + int(np.flatnonzero(~finite.all(axis=1))[0])) / rate
            samples = np.where(finite, samples, np.float32(0))
        wide = samples.astype(np.float64)
        self.peak = max(self.peak, float(np.abs(wide).max(initial=0.0)))
        self.channel_power += np.square(wide).sum(axis=0)
        mixed = wide.mean(axis=1)
        self.mix_power += float(np.square(mixed).sum())
        self.total += float(mixed.sum())
        self.clipped += _flat(samples)
        self.near += _in_runs(np.abs(samples) >= NEAR, FLAT - 1)
        self.n_samples += len(samples)
        self.digest.update(np.clip(np.rint(wide * 2.0**15), -(2**15), 2**15 - 1).astype("<i2").tobytes())
        frame = max(1, round(FRAME * rate))
        if len(mixed) >= frame:
            self.frames.append(np.square(mixed[: len(mixed) // frame * frame].reshape(-1, frame)).mean(axis=1))
        self._spectra(mixed)
        self.tail = np.concatenate([self.tail, mixed])[-max(1, round(END * rate)) :]

    def _spectra(self, mixed: NDArray[np.float64]) -> None:
        if len(mixed) < SPECTRUM:
            return
        rows = mixed[: len(mixed) // SPECTRUM * SPECTRUM].reshape(-1, SPECTRUM)
        loudest = rows[np.argsort(np.square(rows).sum(axis=1))[-SPECTRA:]]
        loudest = loudest - loudest.mean(axis=1, keepdims=True)
        transformed = np.fft.rfft(loudest * np.hanning(SPECTRUM))
        self.spectrum += np.square(np.abs(transformed)).sum(axis=0)
        power = np.fft.irfft(np.square(np.abs(np.fft.rfft(loudest, 2 * SPECTRUM))))[:, :SPECTRUM]
        low, high = max(1, int(self.rate / PITCHES[1])), min(SPECTRUM - 1, int(self.rate / PITCHES[0]))
        if high <= low + 1:
            return
        # a longer lag has fewer products: without that they would lose to the shortest
        likeness = power / np.maximum(power[:, :1], 1e-12) * (SPECTRUM / (SPECTRUM - np.arange(SPECTRUM)))
        lags = np.argmax(likeness[:, low:high], axis=1) + low
        best = likeness[np.arange(len(lags)), lags]
        # the shortest lag that is nearly as good: not two periods of the voice
        for row, lag in enumerate(lags):
            for part in (4, 3, 2):
                shorter = round(lag / part)
                if shorter >= low and likeness[row, max(low, shorter - 1) : shorter + 2].max() > 0.9 * best[row]:
                    lags[row] = shorter
                    break
        self.pitches.append(self.rate / lags[best > VOICED])

    def sound(self) -> Sound:
        """What there is to say after the last piece."""
        frames = np.concatenate(self.frames) if self.frames else np.zeros(0)
        if not len(frames):
            frames = np.asarray([self.mix_power / max(1, self.n_samples)])
        ordered = np.sort(frames)
        skipped = min(CLICK, len(ordered) // 5)
        level = _db(float(ordered[len(ordered) - 1 - skipped]))
        active = frames[frames > ordered[-1 - skipped] * 1e-3]
        mean = self.channel_power / max(1, self.n_samples)
        loud = float(mean.mean())
        pitches = np.concatenate(self.pitches) if self.pitches else np.zeros(0)
        return Sound(
            duration=self.n_samples / self.rate,
            sampling_rate=self.rate,
            channels=self.channels,
            peak=self.peak,
            level=level,
            spread=_db(float(np.quantile(ordered, 0.95))) - _db(float(np.quantile(ordered, 0.05))),
            clipped=self.clipped / max(1, self.n_samples * self.channels),
            near=self.near / max(1, self.n_samples * self.channels),
            offset=self.total / max(1, self.n_samples),
            mixed=_db(self.mix_power / max(1, self.n_samples)) - _db(loud) if loud else 0.0,
            silent_channels=int((mean < 1e-6 * mean.max()).sum()) if loud else 0,
            end=_db(float(np.square(self.tail).mean())) - _db(float(active.mean()) if len(active) else 0.0),
            above=self._above(),
            pitch=float(np.median(pitches)) if len(pitches) >= 5 else None,
            not_finite=self.not_finite,
            digest=self.digest.digest(),
        )

    def _above(self) -> float | None:
        """Mean power from 4.4 to 7 kHz over that from 2 to 3.6 kHz, dB."""
        if self.rate < 3.5 * TELEPHONE or not self.spectrum.any():
            return None
        hertz = np.arange(len(self.spectrum)) * self.rate / SPECTRUM
        high = self.spectrum[(hertz > 1.1 * TELEPHONE) & (hertz < 1.75 * TELEPHONE)].mean()
        low = self.spectrum[(hertz > 0.5 * TELEPHONE) & (hertz < 0.9 * TELEPHONE)].mean()
        return _db(float(high)) - _db(float(low)) if low > 0 else None


def _flat(samples: Samples) -> int:
    """Samples at the extremes of their channel, FLAT or more in a row."""
    count = 0
    for channel in samples.T:
        for values in (channel, -channel):
            top = float(values.max(initial=0.0))
            if top > 0.1:
                count += _in_runs(values >= top - 2.0**-15, FLAT)
    return count


def _in_runs(chosen: NDArray[np.bool_], least: int) -> int:
    """How many are chosen, `least` or more in a row; the first axis is time."""
    if chosen.ndim == 2:
        return sum(_in_runs(column, least) for column in chosen.T) if chosen.any() else 0
    if not chosen.any():
        return 0
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= least].sum())


def _db(power: float) -> float:
    return float(max(SILENCE, 10 * np.log10(power))) if power > 0 else SILENCE
