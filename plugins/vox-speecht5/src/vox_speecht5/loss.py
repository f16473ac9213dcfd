"""What the model said and what it was to say -> sums over the frames, float32: SpeechT5's loss, made to add up.

transformers' SpeechT5SpectrogramLoss is a mean over the frames of a batch: the distance of the log-mel before and after
the postnet, binary cross entropy of "this is the last frame" (weighed 5 times where it is), and guided attention.
Sums over frames give that mean for a batch, and the exact mean of a step of many. Guided attention is averaged over
letters and heads for each frame, in transformers over frames and letters at once: the same for a clip alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

STOP_WEIGHT = 5.0  # of the last frame, as in transformers and fairseq: one of hundreds


def distance(said: torch.Tensor, wanted: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Sum over the real frames (B, T) of the mean distance over the bins of (B, T, C)."""
    return ((said.float() - wanted).abs().mean(-1) * real).sum()


def stop(logits: torch.Tensor, frames: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Sum over the real frames of the cross entropy of logits (B, T); `frames` (B,) says which is the last one."""
    last = torch.arange(logits.shape[1], device=logits.device)[None] == frames[:, None] - 1
    weight = torch.tensor(STOP_WEIGHT, device=logits.device)
    each = functional.binary_cross_entropy_with_logits(
        logits.float(), last.float(), pos_weight=weight, reduction="none"
    )
    return (each * real).sum()


def guided_attention(
    attentions: Sequence[torch.Tensor], letters: torch.Tensor, steps: torch.Tensor, *, sigma: float
) -> torch.Tensor:
    """Sum over the decoder's steps of how far attention is from the diagonal (arXiv 1710.08969, equation 6).

    `attentions`: one (B, H, steps, letters) a layer, without those that layer drop has left out; `letters` and `steps`
    (B,) are how many are real.
    """
    total = torch.zeros((), device=letters.device)
    if not attentions:
        return total
    _, _, n_steps, n_letters = attentions[0].shape
    step = torch.arange(n_steps, device=letters.device)[None] / steps[:, None]
    letter = torch.arange(n_letters, device=letters.device)[None] / letters[:, None]
    far = 1.0 - torch.exp(-((letter[:, None] - step[:, :, None]) ** 2) / (2.0 * sigma**2))
    far = far * (letter[:, None] < 1.0) * (step[:, :, None] < 1.0) / letters[:, None, None]
    for one in attentions:
        total = total + (one.float().mean(1) * far).sum()
    return total / len(attentions)
