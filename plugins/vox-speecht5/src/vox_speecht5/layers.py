"""transformers' SpeechT5ForTextToSpeech -> the same model, whose answer for a clip does not depend on its batch.

Two parts are exchanged in place, weights and names stay:

- The postnet is convolutions with batch normalisation. In transformers the padded frames reach the last real ones
  through the convolutions, and the statistics are those of the batch. Here padded frames are zero before each
  convolution, as they are for a clip alone, and the running means and variances of the checkpoint are used and kept.
  So losses of clips add up, whatever batches they came in. A model with random weights then has no normalisation there.
- The prenet's dropout, which is on in generation too (arXiv 1712.05884, section 2.2), keeps a share of p in
  transformers instead of 1 - p: the same for the usual 0.5, and everything is lost at 0.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers.models.speecht5.modeling_speecht5 import SpeechT5SpeechDecoderPostnet, SpeechT5SpeechDecoderPrenet


class Postnet(SpeechT5SpeechDecoderPostnet):
    """Log-mel frames and stop logits of the decoder's states, and frames with what the convolutions add."""

    frames: torch.Tensor | None = None
    """Real frames of each clip of the batch, (B,); None: all."""
    _said: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        before, after, logits = super().forward(hidden_states)
        self._said = (before, logits) if self.frames is not None else None
        return before, after, logits

    def postnet(self, hidden_states: torch.Tensor) -> torch.Tensor:
        out = hidden_states.transpose(1, 2)
        real = None
        if self.frames is not None:
            real = (torch.arange(out.shape[2], device=out.device)[None] < self.frames[:, None])[:, None]
        for layer in self.layers:
            out = layer(out if real is None else out * real)
        return hidden_states + out.transpose(1, 2)

    def train(self, mode: bool = True) -> Postnet:
        super().train(mode)
        for layer in self.layers:
            layer.batch_norm.eval()
        return self

    @contextlib.contextmanager
    def hearing(self, frames: torch.Tensor) -> Iterator[None]:
        """Within the block batches have that many real frames, (B,)."""
        self.frames = frames
        try:
            yield
        finally:
            self.frames = None

    def taken(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames before the convolutions (B, T, C) and stop logits (B, T) of the newest batch, given once."""
        said, self._said = self._said, None
        assert said is not None, "the model has not been called"
        return said


class Prenet(SpeechT5SpeechDecoderPrenet):
    """Frames so far -> the decoder's input."""

    def _consistent_dropout(self, inputs_embeds: torch.Tensor, p: float) -> torch.Tensor:
        if not p:
            return inputs_embeds
        kept = torch.bernoulli(inputs_embeds[0].detach(), p=1.0 - p)
        return inputs_embeds * kept[None] / (1.0 - p)


def fit(model: Any) -> None:
    """Exchange the parts of a SpeechT5ForTextToSpeech, in place."""
    model.speech_decoder_postnet.__class__ = Postnet
    model.speecht5.decoder.prenet.__class__ = Prenet
    model.speech_decoder_postnet.train(model.training)


def postnet_of(model: nn.Module) -> Postnet:
    """The postnet inside whatever wraps the model."""
    return next(module for module in model.modules() if isinstance(module, Postnet))


@contextlib.contextmanager
def repeatable(model: nn.Module, device: torch.device) -> Iterator[None]:
    """In evaluation the prenet's dropout draws the same every time, so that evaluations compare like with like."""
    if model.training:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield
