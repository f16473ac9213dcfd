"""Waveform -> hidden states of a model's encoder (T, C), their mean (C,), or the x-vector of a speaker model (D,).

Recordings are taken one at a time, so that no padding reaches the model, in windows of `window` s: frames of a long
recording are those of its windows, one after the other; vectors are averaged over the windows by their length.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxcli.errors import DataError, ModelError, UsageError
from voxcli.models.checkpoint import explained, quietly, read_config, read_json
from voxcli.models.open import default_device, locate, open_model

_LEAST = 0.1  # s: a shorter last window joins the one before


@dataclass(frozen=True)
class Embedder:
    """A model that turns recordings into vectors."""

    name: str
    model: Any
    extractor: Any
    x_vector: bool = False
    layer: int | None = None
    """Index among the hidden states: 0 is the input of the first layer, -1 the output of the last; None is the
    encoder's own output, after its last normalisation."""
    mean: bool = True
    """The mean over the frames instead of the frames."""
    window: float = 30.0
    """s."""

    @property
    def sampling_rate(self) -> int:
        """Hz."""
        return int(self.extractor.sampling_rate)

    def parameters(self) -> dict[str, Any]:
        """What the file says about how it was made."""
        said = {"model": self.name, "sampling_rate": self.sampling_rate, "window": self.window}
        return said if self.x_vector else {**said, "layer": self.layer, "pool": "mean" if self.mean else "none"}

    def __call__(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) -> (T, C), (C,) or (D,) float32. Raises `DataError` for audio that is too short for the model."""
        parts = [(self._one(part), len(part)) for part in self._windows(audio)]
        if not self.x_vector and not self.mean:
            return np.concatenate([made for made, _ in parts])
        made: NDArray[np.float32] = np.average([one for one, _ in parts], axis=0, weights=[n for _, n in parts])
        return made.astype(np.float32)

    def _windows(self, audio: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        size = round(self.window * self.sampling_rate)
        starts = list(range(0, max(len(audio), 1), size))
        if len(starts) > 1 and len(audio) - starts[-1] < _LEAST * self.sampling_rate:
            starts.pop()
        return [audio[start:end] for start, end in zip(starts, [*starts[1:], len(audio)], strict=True)]

    @torch.inference_mode()
    def _one(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = self.extractor(audio, sampling_rate=self.sampling_rate, return_tensors="pt").to(self.model.device)
        try:
            if self.x_vector:
                return _array(self.model(**inputs).embeddings[0])
            out = _encoder(self.model)(**inputs, output_hidden_states=self.layer is not None)
        except (RuntimeError, ValueError) as error:
            if len(audio) >= self.sampling_rate:
                raise
            seconds = len(audio) / self.sampling_rate
            raise DataError(f"{seconds:.3f} s are too short for {self.name}", help="leave it out") from error
        states = out.last_hidden_state if self.layer is None else self._chosen(out.hidden_states)
        frames = _array(states[0])
        if _is_padded(self.extractor):  # to the whole window: keep the frames that look at the recording
            samples = int(self.extractor.n_samples)
            frames = frames[: max(1, -(-len(audio) * len(frames) // samples))]
        return frames.mean(axis=0) if self.mean else frames

    def _chosen(self, states: Any) -> Any:
        if not -len(states) <= (self.layer or 0) < len(states):
            raise UsageError(
                f"--layer {self.layer}: {self.name} has {len(states) - 1} layers",
                help=f"0 (before the first) to {len(states) - 1}, or -1 for the last",
            )
        return states[self.layer]


def embedder(
    name: str, *, x_vector: bool, layer: int | None, mean: bool, window: float, device: str | None
) -> Embedder:
    """Open a run, a folder or a hub id. Raises `ModelError` where it has no speaker head and one is needed."""
    checkpoint = locate(name)
    if read_json(checkpoint, "adapter_config.json") is not None and not x_vector:
        opened = open_model(name, device=device)
        made = Embedder(name, opened.bundle.model, opened.bundle.processor.feature_extractor)
    else:
        model, extractor = _loaded(checkpoint, name, x_vector=x_vector)
        made = Embedder(name, model.to(device or default_device()), extractor)
    made = dataclasses.replace(made, x_vector=x_vector, layer=layer, mean=mean, window=window)
    if _is_padded(made.extractor):
        longest = int(made.extractor.n_samples) / made.sampling_rate
        made = dataclasses.replace(made, window=min(window, longest))
    return made


def _loaded(checkpoint: str, name: str, *, x_vector: bool) -> tuple[Any, Any]:
    from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioXVector

    heads = read_config(checkpoint).get("architectures") or []
    if x_vector and not any("XVector" in head for head in heads):
        what = f"it is a {', '.join(heads)}" if heads else "its config names no head"
        raise ModelError(
            f"{name} has no speaker head: {what}",
            help="choose one that was trained to tell speakers apart, for example microsoft/wavlm-base-plus-sv, "
            "or `vox features embedding`",
        )
    auto = AutoModelForAudioXVector if x_vector else AutoModel
    with quietly(), explained(checkpoint, "weights"):
        model = auto.from_pretrained(checkpoint, dtype=torch.float32).eval()
        return model, AutoFeatureExtractor.from_pretrained(checkpoint)


def _encoder(model: Any) -> Any:
    """The part that turns audio into hidden states: the encoder of a sequence-to-sequence or Parakeet model, the base
    below a head, or the model itself.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        return model.get_encoder()
    base = getattr(model, model.base_model_prefix or "", model)
    return base.encoder if not hasattr(base.config, "hidden_size") and hasattr(base, "encoder") else base


def _is_padded(extractor: Any) -> bool:
    """Whisper's, which fills a window of its own length."""
    return type(extractor).__name__ == "WhisperFeatureExtractor"


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    made: NDArray[np.float32] = tensor.float().cpu().numpy()
    return made
