"""Whisper's whole window at little more than a clip's cost: the silence behind the clip stands as a few positions.

Of the 1500 positions that Whisper's encoder makes of 30 s, a clip of 3 s fills 150; the others hold nothing but
silence, and differ in their position alone. A model that has never been without them writes nonsense where they are cut
away (`clip_context`). Here they are merged: each merged position is the mean of the neighbours it stands for, and its
key counts as often, by the logarithm of their number added to every attention score (token merging with proportional
attention: Bolya et al. 2023, arXiv 2210.09461, section 3.2). Weights, config and checkpoint stay those of an ordinary
Whisper, and any Whisper can be heard and trained so.

Measured with an untouched Whisper tiny.en: docs/performance.md. Letters: B batch, C mel bins, T mel frames, P positions
of the clip and its margin (T/2), S states (P and the merged ones), W positions of the window, D size of a state.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from voxcli.models import clip_context

if TYPE_CHECKING:
    import torch

MERGED = 15  # the window's positions for each merged one: 100 of Whisper's 1500
_BEHIND = 6  # mel frames of silence appended: the second position they make has silence on both of its sides


def count(window: int) -> int:
    """Merged positions of a window of that many, where there is silence enough to merge."""
    return max(window // MERGED, 1)


def padded_duration(duration: float, window: float) -> float:
    """What the encoder works on for a clip of `duration` s: the clip, its margin and the merged positions, s."""
    return min(clip_context.padded_duration(duration, window) + window / MERGED, window)


def numbers(states: int, window: int) -> list[int]:
    """How many positions of the window each of S states stands for; their sum is the window.

    Evenly, but for rounding. The states alone decide: where they are fewer than the window, the last `count(window)`
    are merged.
    """
    clip = states - count(window)
    if states >= window:
        return [1] * states
    merged = count(window)
    edges = [round((window - clip) * number / merged) for number in range(merged + 1)]
    return [1] * clip + [end - begin for begin, end in itertools.pairwise(edges)]


def enable(model: Any) -> None:
    """Let a WhisperForConditionalGeneration, and its `generate`, work so on mels shorter than the window, in place."""
    clip_context.enable(model)
    encoder = model.model.encoder
    encoder.forward = clip_context.captured(forward, encoder)
    for layer in model.model.decoder.layers:
        hook = _Proportional(encoder.max_source_positions)
        layer.encoder_attn.register_forward_pre_hook(hook, with_kwargs=True)


def forward(encoder: Any, input_features: torch.Tensor, attention_mask: Any = None, **options: Any) -> Any:
    """WhisperEncoder.forward (transformers 5.23) with silence merged; mel (B, C, T) -> states (B, S, D)."""
    import torch
    from torch.nn import functional
    from transformers.modeling_outputs import BaseModelOutput

    window = encoder.max_source_positions
    clip = input_features.shape[-1] // 2
    behind = window - clip
    if behind <= count(window):  # too little silence to merge
        mel = clip_context.padded(input_features, 2 * window) if behind > 0 else input_features
        return clip_context.forward(encoder, mel, **options)
    states = clip_context.convolved(encoder, clip_context.padded(input_features, 2 * clip + _BEHIND))
    states, silence = states[:, :clip], states[:, clip + 1 : clip + 2]
    merged = numbers(clip + count(window), window)[clip:]
    states = torch.cat([states, silence.expand(-1, len(merged), -1)], dim=1)
    table = encoder.embed_positions.weight[:window]
    means = torch.stack([part.mean(dim=0) for part in table[clip:].split(merged)])
    states = states + torch.cat([table[:clip], means]).to(states.dtype)
    states = functional.dropout(states, p=encoder.dropout, training=encoder.training)
    bias = _bias(states, states.shape[1], window)
    return BaseModelOutput(last_hidden_state=clip_context.through_layers(encoder, states, bias, **options))


class _Proportional:
    """Before a cross-attention: keys of merged positions count as often as there are positions they stand for."""

    def __init__(self, window: int) -> None:
        self.window = window

    def __call__(self, module: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        queries = args[0] if args else named["hidden_states"]
        n_states = named["key_value_states"].shape[1]
        if n_states < self.window:
            named = {**named, "attention_mask": _bias(queries, n_states, self.window)}
        return args, named


def _bias(queries: torch.Tensor, states: int, window: int) -> torch.Tensor:
    """What is added to the attention scores of queries (B, L, D): the logarithms of `numbers`, (1, 1, L, S)."""
    import torch

    numbered = torch.tensor(numbers(states, window), dtype=torch.float32, device=queries.device)
    return numbered.log().to(queries.dtype).expand(1, 1, queries.shape[1], -1)
