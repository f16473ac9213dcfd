"""Log-mel frames -> a waveform without a trained vocoder: non-negative least squares, then phases by iteration.

Mel bands are spread over the spectrum by multiplicative updates (Lee and Seung, NeurIPS 2000), phases found by the fast
Griffin-Lim algorithm (Perraudin, Balazs and Sondergaard, WASPAA 2013). It is understood, and sounds as through a pipe.
"""

from __future__ import annotations

from typing import Any

import torch

SPREADING, PHASES = 60, 60  # iterations, after which little changes
MOMENTUM = 0.99  # as in the paper: faster than none, and still converges
_TINY = 1e-8


def waveform(mel: torch.Tensor, extractor: Any, *, seed: int = 0) -> torch.Tensor:
    """log10 of mel magnitudes (T, C) -> samples (N,) float32 on the CPU; the first phases are drawn from `seed`.

    `extractor` is the SpeechT5FeatureExtractor that such frames come from.
    """
    filters = torch.as_tensor(extractor.mel_filters, dtype=torch.float32)  # (frequencies, C)
    size, hop = extractor.n_fft, extractor.sample_stride
    window = torch.as_tensor(extractor.window, dtype=torch.float32)
    magnitude = _spread(10.0 ** mel.float().cpu().clamp(max=4.0), filters).T  # (frequencies, T)
    generator = torch.Generator().manual_seed(seed)
    phase = torch.polar(torch.ones_like(magnitude), 2 * torch.pi * torch.rand(magnitude.shape, generator=generator))
    length = hop * (magnitude.shape[1] - 1)
    keys = {"n_fft": size, "hop_length": hop, "win_length": extractor.sample_size, "window": window}
    if length <= size:  # too short to be mirrored at its ends
        return torch.zeros(max(length, 0))
    before = torch.zeros_like(phase)
    for _ in range(PHASES):
        heard = torch.istft(magnitude * phase, length=length, **keys)
        consistent = torch.stft(heard, return_complex=True, **keys)
        ahead = consistent + MOMENTUM * (consistent - before)
        before = consistent
        phase = ahead / ahead.abs().clamp(min=_TINY)
    return torch.istft(magnitude * phase, length=length, **keys)


def _spread(mel: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Magnitudes of mel bands (T, C) -> of frequencies (T, F), none below zero, whose bands are nearest to them."""
    found = mel @ filters.T
    aim, square = found.clone(), filters @ filters.T
    for _ in range(SPREADING):
        found = found * aim / (found @ square).clamp(min=_TINY)
    return found
