"""Whisper's encoder as a classifier at the clip's own length: shorter mel in, the mean over the clip's frames alone.

At 30 s a clip of one second is one part speech and twenty-nine parts silence, of all of which transformers takes the
mean. Here a clip is as long as it is (`clip_context`); those that share a batch are padded, and the padding is neither
attended to nor in the mean: what a clip is taken for does not depend on its neighbours. Weights, config and checkpoint
stay those of an ordinary WhisperForAudioClassification.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def enable(model: Any) -> None:
    """Let a WhisperForAudioClassification take mels (B, C, T) with their lengths (B,) as `n_frames`, in place."""
    model.forward = types.MethodType(_forward, model)


def _forward(
    model: Any, input_features: torch.Tensor, n_frames: torch.Tensor | None = None, labels: Any = None, **_: Any
) -> Any:
    """Mel (B, C, T), frames of 10 ms (B,) -> logits (B, classes), as WhisperForAudioClassification (transformers 5.23).

    T is even. None: all frames count.
    """
    import torch
    from torch.nn import functional
    from transformers.modeling_outputs import SequenceClassifierOutput

    encoder = model.encoder
    states = functional.gelu(encoder.conv1(_within(input_features, n_frames)))
    states = functional.gelu(encoder.conv2(_within(states, n_frames))).permute(0, 2, 1)
    n_positions = states.shape[1]
    if n_positions > encoder.max_source_positions:
        raise ValueError(f"{n_positions} encoder frames, but Whisper has {encoder.max_source_positions} positions")
    positions = torch.arange(n_positions, device=states.device)
    states = states + encoder.embed_positions(positions)
    states = functional.dropout(states, p=encoder.dropout, training=encoder.training)
    inside, mask = None, None
    if n_frames is not None:
        inside = positions[None] < (n_frames.to(states.device) // 2)[:, None]
        hidden = torch.zeros(inside.shape, dtype=states.dtype, device=states.device)
        hidden = hidden.masked_fill(~inside, torch.finfo(states.dtype).min)
        mask = hidden[:, None, None, :].expand(-1, 1, n_positions, -1)
    kept = [states]
    for layer in encoder.layers:
        dropped = encoder.training and encoder.layerdrop > 0.0 and torch.rand([]) < encoder.layerdrop
        if not dropped:
            states = layer(states, mask)
        kept.append(states)
    states = encoder.layer_norm(states)
    if model.config.use_weighted_layer_sum:
        shares = functional.softmax(model.layer_weights, dim=-1)
        states = (torch.stack([*kept[:-1], states], dim=1) * shares.view(-1, 1, 1)).sum(dim=1)
    states = model.projector(states)
    if inside is None:
        pooled = states.mean(dim=1)
    else:
        weights = inside.to(states.dtype)
        pooled = (states * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
    return SequenceClassifierOutput(logits=model.classifier(pooled))


def _within(states: torch.Tensor, n_frames: torch.Tensor | None) -> torch.Tensor:
    """(B, C, T) with zeros behind the frames (B,) of each clip, as convolutions see the end of a clip that is alone."""
    import torch

    if n_frames is None:
        return states
    at = torch.arange(states.shape[-1], device=states.device)
    return states * (at[None] < n_frames.to(states.device)[:, None])[:, None, :].to(states.dtype)
