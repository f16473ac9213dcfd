"""Two parts of a wav2vec 2.0 that pre-training computes in another way than transformers, with the same weights.

`Quantizer` gives the same numbers as theirs in a hundredth of the memory, and says what it chose. `ClipNorm` makes the
first convolution's group normalisation blind to padding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Quantizer(nn.Module):
    """Frames -> codevectors, by a Gumbel softmax (arXiv 1611.01144) in training and the most probable one otherwise.

    transformers multiplies every codevector with every frame's probability before it adds them up, a tensor of
    (frames, codevectors, size); here it is one product of matrices. Weights and their names are those of `theirs`.
    """

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.num_groups, self.num_vars = int(theirs.num_groups), int(theirs.num_vars)
        self.codevectors: nn.Parameter = theirs.codevectors
        self.weight_proj: nn.Module = theirs.weight_proj
        self.temperature: float = float(theirs.temperature)
        self._chosen: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(
        self, hidden_states: torch.Tensor, mask_time_indices: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames (B, T, C) -> codevectors (B, T, D), and a perplexity that is not computed here: 0."""
        rows, frames, _ = hidden_states.shape
        logits = self.weight_proj(hidden_states).view(rows * frames * self.num_groups, -1)
        if self.training:
            choice = functional.gumbel_softmax(logits.float(), tau=self.temperature, hard=True)
            probabilities = torch.softmax(logits.float(), dim=-1)
        else:
            choice = functional.one_hot(logits.argmax(-1), self.num_vars).float()
            probabilities = choice
        shape = (rows, frames, self.num_groups, self.num_vars)
        self._chosen = (choice.detach().argmax(-1).view(shape[:3]), probabilities.view(shape))
        book = self.codevectors.view(self.num_groups, self.num_vars, -1)
        made = torch.einsum("fgv,gvd->fgd", choice.type_as(logits).view(-1, *shape[2:]), book.type_as(logits))
        return made.reshape(rows, frames, -1), logits.new_zeros(())

    def taken(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the newest forward pass chose: codes (B, T, groups) and probabilities (B, T, groups, codevectors), of
        which the latter carry the gradient. They are given once, so that no graph outlives its step.
        """
        assert self._chosen is not None, "no forward pass since the last call"
        chosen, self._chosen = self._chosen, None
        return chosen


class ClipNorm(nn.GroupNorm):
    """Group normalisation over the frames of each clip alone.

    The one of torch takes mean and variance over the whole padded row, so that a clip's features would depend on the
    longest clip in its batch. Without lengths it is the ordinary one.
    """

    lengths: torch.Tensor | None = None
    """Valid frames of each row of the coming batch, (B,); stays for activations that are computed again."""

    @classmethod
    def of(cls, theirs: nn.GroupNorm) -> ClipNorm:
        """With the weights of an ordinary one whose groups are single channels."""
        made = cls(theirs.num_groups, theirs.num_channels, eps=theirs.eps)
        made.weight, made.bias = theirs.weight, theirs.bias
        return made

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, T) -> (B, C, T); what lies beyond a row's length is of no use."""
        if self.lengths is None:
            return super().forward(input)
        count = self.lengths.to(input.device).view(-1, 1, 1)
        valid = torch.arange(input.shape[2], device=input.device) < count
        wide = input.float()
        mean = torch.where(valid, wide, 0.0).sum(2, keepdim=True) / count
        centred = wide - mean
        variance = torch.where(valid, centred.square(), 0.0).sum(2, keepdim=True) / count
        scale, shift = self.weight.float().view(-1, 1), self.bias.float().view(-1, 1)
        return (centred * torch.rsqrt(variance + self.eps) * scale + shift).type_as(input)


def fit(model: Any) -> None:
    """Put both parts into a model for pre-training, in place."""
    model.quantizer = Quantizer(model.quantizer)
    first = model.base_model.feature_extractor.conv_layers[0]
    if isinstance(getattr(first, "layer_norm", None), nn.GroupNorm):
        first.layer_norm = ClipNorm.of(first.layer_norm)


def tell_lengths(model: Any, n_samples: torch.Tensor) -> None:
    """Tell a model how many samples (B,) of each row of the coming batch are audio, where it has to know."""
    first = model.base_model.feature_extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    if isinstance(norm, ClipNorm):
        norm.lengths = (n_samples - first.conv.kernel_size[0]) // first.conv.stride[0] + 1
