"""Waveform (N,) -> spectrogram, log-mel or MFCC (T, C) float32, in numpy.

Frames are centred: frame t looks at the samples around t * hop_length, the ends are reflected, T = 1 + N // hop_length.
Log-mel is 10 * log10 of the power (dB, at least 1e-10), the MFCC its orthonormal discrete cosine transform (type II):
the conventions of librosa and of transformers.audio_utils.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from voxcli.errors import DataError
from voxcli.features.presets import Spectral

FLOOR = 1e-10  # of the power, before the logarithm
_BLOCK = 4096  # frames transformed at once: an hour of audio does not need an hour's memory twice


def features(audio: NDArray[np.float32], spectral: Spectral) -> NDArray[np.float32]:
    """Audio (N,) at `spectral.sampling_rate` -> (T, C) float32. Raises `DataError` for audio too short to reflect."""
    half = spectral.n_fft // 2
    if len(audio) <= half:
        raise DataError(
            f"{len(audio)} samples are too short for n_fft = {spectral.n_fft}, which needs {half + 1}",
            help="a smaller n_fft, or leave it out",
        )
    padded = np.pad(audio.astype(np.float64), half, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, spectral.n_fft)[:: spectral.hop_length]
    window = _window(spectral.n_fft, spectral.win_length)
    made = [_of(frames[at : at + _BLOCK] * window, spectral) for at in range(0, len(frames), _BLOCK)]
    return np.concatenate(made)


def _of(frames: NDArray[np.float64], spectral: Spectral) -> NDArray[np.float32]:
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    if spectral.n_mels is not None:
        bank = mel_filters(spectral.n_fft, spectral.n_mels, spectral.sampling_rate)
        power = 10.0 * np.log10(np.maximum(power @ bank, FLOOR))
    if spectral.n_mfcc is not None:
        power = power @ _cosines(power.shape[1], spectral.n_mfcc)
    return power.astype(np.float32)


@functools.lru_cache(maxsize=4)
def _window(n_fft: int, win_length: int) -> NDArray[np.float64]:
    """Periodic Hann window in the middle of n_fft points."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    before = (n_fft - win_length) // 2
    return np.pad(hann, (before, n_fft - win_length - before))


@functools.lru_cache(maxsize=4)
def mel_filters(n_fft: int, n_mels: int, sampling_rate: int) -> NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale, 0 Hz to half the rate, (n_fft / 2 + 1, n_mels)."""
    highest = _mel(np.asarray(sampling_rate / 2))
    corners = _hertz(np.linspace(0.0, float(highest), n_mels + 2))
    frequencies = np.linspace(0.0, sampling_rate / 2, n_fft // 2 + 1)
    widths = np.diff(corners)
    slopes = corners[None] - frequencies[:, None]
    rising, falling = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * 2.0 / (corners[2:] - corners[:-2]))


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear to 1 kHz (15 mel), logarithmic above: Slaney's Auditory Toolbox."""
    return np.where(hertz < 1000.0, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1e-9) / 1000) * 27 / np.log(6.4))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


@functools.lru_cache(maxsize=4)
def _cosines(n: int, kept: int) -> NDArray[np.float64]:
    """Orthonormal DCT-II, (n, kept)."""
    table = np.cos(np.pi / n * (np.arange(n)[:, None] + 0.5) * np.arange(kept)[None]) * np.sqrt(2 / n)
    table[:, 0] /= np.sqrt(2)
    return np.asarray(table)
