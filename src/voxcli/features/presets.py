"""The features that have a name, with the parameters that are usual for them. Every parameter can be changed.

Lengths are in samples at `sampling_rate`, as in librosa and transformers.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from voxcli.errors import UsageError

Kind = Literal["log-mel", "mfcc", "spectrogram"]


@dataclass(frozen=True)
class Spectral:
    """A feature that is computed from the waveform, without a model."""

    kind: Kind
    sampling_rate: int = 16_000
    """Hz; recordings are resampled to it."""
    n_fft: int = 512
    """Points of the Fourier transform; n_fft / 2 + 1 frequencies."""
    win_length: int = 512
    """Samples of the Hann window, padded with zeros to n_fft."""
    hop_length: int = 160
    """Samples from one frame to the next."""
    n_mels: int | None = None
    """Mel bands (Slaney's scale and areas); None where there are none."""
    n_mfcc: int | None = None
    """Cepstral coefficients kept; None where there are none."""

    @property
    def bins(self) -> int:
        """Values of a frame, C."""
        return self.n_mfcc or self.n_mels or self.n_fft // 2 + 1

    def changed(self, **given: int | None) -> Spectral:
        """The same with other parameters. Raises `UsageError` for those that it lacks or that cannot be."""
        made = self
        for name, value in given.items():
            if value is None:
                continue
            if getattr(self, name) is None:
                raise UsageError(f"{self.kind} has no {name}", help=f"it has {', '.join(self.parameters())}")
            change: dict[str, Any] = {name: value}
            made = dataclasses.replace(made, **change)
        if given.get("n_fft") is not None and given.get("win_length") is None:
            made = dataclasses.replace(made, win_length=made.n_fft)
        return made._checked()

    def parameters(self) -> dict[str, int]:
        """Every parameter that it has, by name."""
        found = dataclasses.asdict(self)
        return {name: value for name, value in found.items() if name != "kind" and value is not None}

    def _checked(self) -> Spectral:
        for name, value in self.parameters().items():
            if value < 1:
                raise UsageError(f"{name} = {value}", help="at least 1")
        if self.win_length > self.n_fft:
            raise UsageError(
                f"win_length = {self.win_length} is longer than n_fft = {self.n_fft}", help="raise n_fft, or lower it"
            )
        if self.n_mfcc is not None and self.n_mels is not None and self.n_mfcc > self.n_mels:
            raise UsageError(f"n_mfcc = {self.n_mfcc} of n_mels = {self.n_mels} bands", help="raise n_mels to n_mfcc")
        if self.n_mels is not None and self.n_mels > self.n_fft // 2:
            raise UsageError(
                f"n_mels = {self.n_mels} bands from {self.n_fft // 2 + 1} frequencies leave bands empty",
                help="raise n_fft, or lower n_mels",
            )
        return self


PRESETS = {
    "log-mel": (Spectral("log-mel", n_mels=80), "log of the power in mel bands: what most speech networks hear"),
    "mfcc": (Spectral("mfcc", n_mels=40, n_mfcc=13), "cepstral coefficients: small, for classical classifiers"),
    "speaker-mfcc": (Spectral("mfcc", n_mels=40, n_mfcc=40), "all 40 coefficients: more of the voice"),
    "spectrogram": (
        Spectral("spectrogram", n_fft=2048, win_length=2048, hop_length=512),
        "power at each frequency: for music, noise and pictures",
    ),
}
"""name -> (parameters, what it is good for)"""

OF_MODELS = {
    "embedding": "hidden states of a model's encoder: the best features for little data (--model)",
    "x-vector": "one vector a recording that tells voices apart, of a model with a speaker head (--model)",
}
"""name -> what it is good for"""


def named(name: str) -> Spectral | str:
    """The parameters of a preset, or the name itself where a model makes it. Raises `UsageError`."""
    if name in PRESETS:
        return PRESETS[name][0]
    if name in OF_MODELS:
        return name
    import difflib

    known = [*PRESETS, *OF_MODELS]
    close = difflib.get_close_matches(name, known, 1)
    said = f"did you mean {close[0]}? " if close else ""
    raise UsageError(f"no feature is called '{name}'", help=f"{said}known: {', '.join(known)}")
