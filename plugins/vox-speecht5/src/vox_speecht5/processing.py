"""Text and audio -> tokens and log-mel frames, and the vectors of the voices: what is saved beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vox_speecht5 import speakers

if TYPE_CHECKING:
    import numpy as np


class Processor:
    """A SpeechT5Processor, and voices by their names; `save_pretrained` writes what transformers reads."""

    def __init__(self, feature_extractor: Any, tokenizer: Any, voices: Mapping[str, np.ndarray], config: Any) -> None:
        self.feature_extractor = feature_extractor
        self.tokenizer = tokenizer
        self.voices = dict(voices)
        self.reduction: int = config.reduction_factor
        self._dimension: int = config.speaker_embedding_dim

    def tokens(self, text: str) -> list[int]:
        """Numbers of the letters of a text, with the end."""
        found: list[int] = self.tokenizer(text).input_ids
        return found

    def frames(self, n_samples: int) -> int:
        """Frames of a clip of N samples, without those that do not fill the last step of the decoder."""
        hop = self.feature_extractor.sample_stride
        return (1 + n_samples // hop) // self.reduction * self.reduction

    def mel(self, audio: np.ndarray) -> np.ndarray:
        """Audio (N,) -> log10-mel (T, C) float32, T = frames(N)."""
        import numpy as np

        rate = self.feature_extractor.sampling_rate
        made = self.feature_extractor(audio_target=audio, sampling_rate=rate)["input_values"][0]
        return np.asarray(made, np.float32)[: self.frames(len(audio))]

    def voice(self, name: str | None) -> np.ndarray | None:
        """The vector (D,) of a speaker; the only one where none is named; zeros where there are none; else None."""
        import numpy as np

        if not self.voices:
            return np.zeros(self._dimension, np.float32)
        if name is None and len(self.voices) == 1:
            return next(iter(self.voices.values()))
        return self.voices.get(name or "")

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the processor as transformers has it, and the voices."""
        from transformers import SpeechT5Processor

        SpeechT5Processor(self.feature_extractor, self.tokenizer).save_pretrained(folder)
        speakers.save(self.voices, Path(folder))
