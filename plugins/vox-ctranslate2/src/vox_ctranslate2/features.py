"""Audio -> log-mel for the encoder, exactly as the model learned it: its whole window, or the clip's own length.

The numbers are those of voxcli's `encoder_context`, of which "merged" and "clip" have the same features. CTranslate2's
encoder takes an even number of frames up to the window and gives the states of transformers' (differences below 1e-4,
of states up to 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MARGIN = 0.5  # s of silence after a clip
SHORTEST = 1.0  # s: a shorter context is filled up with silence
DYNAMIC_RANGE = 2.0  # the extractor cuts the log-mel at 8 decades below its maximum and divides by 4
SILENCE = -1.5  # (log10(1e-10) + 4) / 4, the extractor's floor


class Features:
    """Log-mels of one model."""

    def __init__(self, folder: Path, *, n_mels: int, context: str) -> None:
        from transformers import WhisperFeatureExtractor

        stored = (folder / "preprocessor_config.json").is_file()
        self._extractor: Any = (
            WhisperFeatureExtractor.from_pretrained(folder) if stored else WhisperFeatureExtractor(feature_size=n_mels)
        )
        self._context = context
        self.sampling_rate: int = self._extractor.sampling_rate
        self.window: float = self._extractor.n_samples / self._extractor.sampling_rate
        """The longest clip that the encoder takes in one piece, s."""
        self.shortest: float = self.window if context == "window" else SHORTEST
        """What every clip is padded to at least, s."""

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Audio (N,) -> (C, T) float32: T is the window's, or the clip's own and even."""
        import numpy as np

        extractor, rate = self._extractor, self.sampling_rate
        if self._context == "window":
            out = extractor(audio, sampling_rate=rate, return_tensors="np")
        else:
            step = 2 * extractor.hop_length  # two frames become one position
            padded = min(max(len(audio) / rate + MARGIN, SHORTEST), self.window)
            n_samples = -(-round(padded * rate) // step) * step
            clip = np.zeros(min(n_samples, extractor.n_samples), dtype=np.float32)
            clip[: min(len(audio), len(clip))] = audio[: len(clip)]
            out = extractor(clip, sampling_rate=rate, padding="do_not_pad", return_tensors="np")
        mel: np.ndarray = out["input_features"][0]
        return mel

    def batch(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """B clips (N_b,) -> (B, C, T) float32, each padded with its own silence to the longest."""
        import numpy as np

        mels = [self(clip) for clip in clips]
        length = max(mel.shape[1] for mel in mels)
        made = np.empty((len(mels), mels[0].shape[0], length), dtype=np.float32)
        for row, mel in zip(made, mels, strict=True):
            row[:, : mel.shape[1]] = mel
            row[:, mel.shape[1] :] = max(float(mel.max()) - DYNAMIC_RANGE, SILENCE)
        return made
