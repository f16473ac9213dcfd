"""The encoder of a Whisper on its own, with silence merged: for runtimes whose encoder takes whole windows alone.

`save` writes it beside the runtime's files, `MergedEncoder` reads it back. Its states are those of `merged_silence`,
and each merged one is repeated as often as it counts: a decoder without weights in its attention hears the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

FILE = "encoder.safetensors"


def save(model: Any, folder: Path, *, dtype: Literal["float32", "float16"] = "float16") -> Path:
    """Write the encoder of a WhisperForConditionalGeneration into a folder; the path of the file."""
    import torch
    from safetensors.torch import save_file

    kept = getattr(torch, dtype)
    weights = {name: value.to(kept).contiguous() for name, value in model.model.encoder.state_dict().items()}
    path = folder / FILE
    save_file(weights, path, metadata={"config": json.dumps(model.config.to_dict(), default=str)})
    return path


class MergedEncoder:
    """Log-mels -> states of the window."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.window: int = encoder.max_source_positions
        """Positions of the states."""

    @classmethod
    def open(cls, folder: Path, *, device: str = "cpu") -> Self:
        """Read what `save` has written, in float32. Raises `ModelError`."""
        import torch
        from safetensors import SafetensorError, safe_open
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        from voxcli.models import clip_context, merged_silence

        try:
            with safe_open(folder / FILE, framework="pt") as file:
                config = WhisperConfig(**json.loads(file.metadata()["config"]))
                weights = {name: file.get_tensor(name).to(torch.float32) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{folder / FILE} cannot be read: {error}", help="export the model again") from error
        config._attn_implementation = "sdpa"
        with torch.device("meta"):
            encoder = WhisperEncoder(config)
        encoder.load_state_dict(weights, assign=True)
        encoder.requires_grad_(False).eval().to(device)
        encoder.forward = clip_context.captured(merged_silence.forward, encoder)
        return cls(encoder)

    def __call__(self, mels: np.ndarray) -> np.ndarray:
        """Log-mels (B, C, T) float32 of clips with their margin, T even -> states (B, W, D) float32."""
        import torch

        from voxcli.models import merged_silence

        with torch.inference_mode():
            given = torch.from_numpy(mels).to(self._encoder.conv1.weight.device)
            states = self._encoder(given).last_hidden_state
            counts = torch.tensor(merged_silence.numbers(states.shape[1], self.window), device=states.device)
            made: np.ndarray = states.repeat_interleave(counts, dim=1).cpu().numpy()
        return made
