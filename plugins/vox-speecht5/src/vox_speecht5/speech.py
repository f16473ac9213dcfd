"""An opened model, a text and a voice -> a waveform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vox_speecht5 import griffin_lim
from vox_speecht5.loading import explained
from voxcli.checkpoints import source_of
from voxcli.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from voxcli.api import Bundle

PAUSE = 0.3  # s between two lines


@dataclass(frozen=True)
class Said:
    """One line as it was said."""

    text: str
    audio: np.ndarray
    """(N,) float32."""
    frames: int
    ended: bool
    """Whether the model ended it, or the limit of frames a token."""


class Speaker:
    """Says lines with one model, one voice and one vocoder."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        speaker: str | None = None,
        vocoder: str | None = None,
        threshold: float = 0.5,
        longest: float = 20.0,
        seed: int = 0,
    ) -> None:
        """`vocoder`: folder or hub id of a SpeechT5HifiGan; None: Griffin-Lim. `longest`: frames a token.

        Raises `UsageError` for a speaker that the model has no vector of, `ModelError` for a vocoder that is none.
        """
        import torch

        self._bundle, self._threshold, self._longest, self._seed = bundle, threshold, longest, seed
        self._model: Any = bundle.model
        self._device = next(bundle.model.parameters()).device
        voice = bundle.processor.voice(speaker)
        known = sorted(bundle.processor.voices)
        if voice is None or (speaker is not None and speaker not in known):
            asked = f"no speaker called '{speaker}'" if speaker is not None else "several speakers, and none is named"
            raise UsageError(
                f"the model has {asked}",
                help=f"--speaker {' or '.join(known[:10])}" if known else "leave --speaker out: it has one voice",
            )
        self._voice = torch.from_numpy(voice)[None].to(self._device)
        self._vocoder = _vocoder(vocoder).to(self._device) if vocoder is not None else None
        bins = bundle.processor.feature_extractor.num_mel_bins
        if self._vocoder is not None and self._vocoder.config.model_in_dim != bins:
            raise ModelError(
                f"the vocoder takes {self._vocoder.config.model_in_dim} mel bins, the model makes {bins}",
                help="leave --vocoder out",
            )

    @property
    def sampling_rate(self) -> int:
        """Hz."""
        return int(self._bundle.processor.feature_extractor.sampling_rate)

    def check(self, text: str, *, at: str = "") -> list[int]:
        """The tokens of a text. Raises `DataError`, which begins with `at`, where they are too many or none."""
        tokens: list[int] = self._bundle.processor.tokens(text)
        most = self._model.config.max_text_positions
        if not 1 < len(tokens) <= most:
            raise DataError(
                f"{at}'{text[:40]}' has {len(tokens)} tokens, expected 2 to {most}", help="one sentence a line"
            )
        return tokens

    def say(self, text: str) -> Said:
        """One line. The same seed says it in the same way. Raises `DataError` for a text that is too long or empty."""
        import torch

        model, processor = self._model, self._bundle.processor
        tokens = self.check(text)
        with torch.no_grad(), torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(self._seed)
            mel = model.generate_speech(
                torch.tensor([tokens], device=self._device),
                self._voice,
                threshold=self._threshold,
                maxlenratio=self._longest,
            )
            if self._vocoder is None:
                audio = griffin_lim.waveform(mel, processor.feature_extractor, seed=self._seed)
            else:
                audio = self._vocoder(mel)
        reduction = model.config.reduction_factor
        limit = int(len(tokens) * self._longest / reduction) * reduction
        return Said(text, audio.float().cpu().numpy(), len(mel), len(mel) < limit)


def joined(said: Sequence[Said], sampling_rate: int) -> np.ndarray:
    """Lines one after the other with pauses, (N,) float32 in [-1, 1]: all quieter where any would be cut off."""
    import numpy as np

    pause = np.zeros(round(PAUSE * sampling_rate), np.float32)
    pieces = [piece for one in said for piece in (one.audio, pause)][:-1]
    audio = np.concatenate(pieces) if pieces else pause[:0]
    loudest = float(np.abs(audio).max()) if len(audio) else 0.0
    return (audio / max(loudest, 1.0)).astype(np.float32)


def _vocoder(name: str) -> Any:
    from transformers import SpeechT5HifiGan

    source = source_of(name)
    with explained(name, "vocoder"):
        made, report = SpeechT5HifiGan.from_pretrained(name, output_loading_info=True, **source)
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{name} is no SpeechT5HifiGan: it lacks {len(missing)} weights, {missing[0]} among them",
            help="leave --vocoder out, or name one: microsoft/speecht5_hifigan",
        )
    return made.eval()
