"""SpecAugment (Park et al., arXiv 1904.08779) in the samples: stretches of time and bands of frequency are taken out.

The families' `mask_…` keys do the same to features, cheaper, for models that have such keys. This one works for every
model: what goes in as a waveform, where `mask_feature_…` masks channels and not frequencies, and spectrogram models
without masks of their own. The clip goes through a short-time Fourier transform and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds

if TYPE_CHECKING:
    import numpy as np

_HOP = 0.008  # s between frames; frames of four hops overlap to a constant
_BANDS = 80  # mel bands that widths are counted in, as in the paper


@config
class SpecAugment:
    """Masks in time and frequency, with the paper's names and its LibriSpeech policy (LD) as defaults."""

    p: float = 1.0
    """Share of the training utterances that are masked."""
    frequency_masks: int = 2
    """How many bands are taken out."""
    frequency_width: int = 27
    """Widest band, of 80 on the mel scale; the width is drawn from 0 on."""
    time_masks: int = 2
    """How many stretches are taken out."""
    time_width: float = 1.0
    """Longest stretch, s; the length is drawn from 0 on."""
    most: float = 0.2
    """The share of a clip that one stretch may take."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,)."""
        import numpy as np

        hop = max(1, int(_HOP * sampling_rate))
        size = 4 * hop
        # the sine window twice, at four frames over each sample, sums to 2
        window = np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)
        padded = np.pad(audio, (size, size + (-len(audio)) % hop)).astype(np.float32, copy=False)
        frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
        spectrum = np.fft.rfft(frames * window)
        for low, high in self._bands(spectrum.shape[1], sampling_rate, rng):
            spectrum[:, low:high] = 0
        for begin, end in self._stretches(len(audio) / sampling_rate, rng):
            spectrum[_frame(begin, sampling_rate, hop) : _frame(end, sampling_rate, hop)] = 0
        back = np.fft.irfft(spectrum, size).astype(np.float32, copy=False) * (window / 2)
        made = np.zeros((len(frames) + 3, hop), dtype=np.float32)
        for quarter in range(4):
            made[quarter : quarter + len(frames)] += back[:, quarter * hop : (quarter + 1) * hop]
        return np.ascontiguousarray(made.reshape(-1)[size : size + len(audio)])

    def _bands(self, bins: int, sampling_rate: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Ranges of bins, each as wide as its draw on the mel scale."""
        top = _mel(sampling_rate / 2)
        found = []
        for _ in range(self.frequency_masks):
            width = float(rng.uniform(0, min(self.frequency_width, _BANDS)))
            low = float(rng.uniform(0, _BANDS - width))
            edges = [_hertz(top * band / _BANDS) / (sampling_rate / 2) * (bins - 1) for band in (low, low + width)]
            found.append((round(edges[0]), round(edges[1])))
        return found

    def _stretches(self, duration: float, rng: np.random.Generator) -> list[tuple[float, float]]:
        """Beginnings and ends, s."""
        found = []
        for _ in range(self.time_masks):
            length = float(rng.uniform(0, min(self.time_width, self.most * duration)))
            begin = float(rng.uniform(0, duration - length))
            found.append((begin, begin + length))
        return found

    def longest(self, duration: float) -> float:
        """What is masked is still there."""
        return duration

    def idle(self, sampling_rate: int) -> str | None:
        """Nothing is masked."""
        bands = self.frequency_masks and self.frequency_width
        return None if bands or (self.time_masks and self.time_width and self.most) else "it has no masks"

    def findings(self) -> Iterator[Finding]:
        """Shares that are none; masks that leave nothing."""
        yield from bounds.share(self.p)
        yield from bounds.within("frequency_masks", self.frequency_masks, 0, 20, "2, as in the paper")
        yield from bounds.within("frequency_width", self.frequency_width, 0, _BANDS, "27, as in the paper")
        yield from bounds.within("time_masks", self.time_masks, 0, 100, "2, as in the paper")
        yield from bounds.within("time_width", self.time_width, 0, 30, "1.0, as in the paper", unit="s")
        yield from bounds.within("most", self.most, 0, 1, "0.2: a fifth of the clip")


def _frame(seconds: float, sampling_rate: int, hop: int) -> int:
    """The frame whose middle is nearest to a time: four hops of silence come first."""
    return round(seconds * sampling_rate / hop) + 2


def _mel(hertz: float) -> float:
    import math

    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: float) -> float:
    return float(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
