"""Contrastive and diversity loss of wav2vec 2.0 (arXiv 2006.11477, 3.2) as sums over hidden frames.

The contrastive loss of an utterance depends on nothing but that utterance, so that sums over batches and processes are
exact. The diversity loss does not add up: it looks at how often each codevector is chosen in the *whole* step, and the
entropy of a mean is not the mean of entropies. `Use` is what adds up: probabilities summed over hidden frames. Where
a step has several parts, the sum over all of them is known before the first is learned from, and each part takes the
tangent of the loss at that point: values and gradients of the parts add up to those of the whole step, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional


def contrastive(
    predicted: torch.Tensor,
    targets: torch.Tensor,
    codes: torch.Tensor,
    distractors: torch.Tensor,
    hidden: torch.Tensor,
    *,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum of the losses over hidden frames, number of frames told from every distractor), scalars, float32.

    `predicted` and `targets` (B, T, P), `codes` (B, T, groups) the codevectors chosen for the targets, `distractors`
    (B, T, K) frames of the same row, `hidden` (B, T). A distractor with the target's own codevectors does not count; a
    frame that has no other kind is not counted as told from them, and its loss is 0.
    """
    similar = functional.normalize(predicted.float(), dim=-1) @ functional.normalize(targets.float(), dim=-1).mT
    places = distractors.long()
    wrong = similar.gather(2, places) / temperature
    right = similar.diagonal(dim1=1, dim2=2).unsqueeze(2) / temperature
    rows, frames, count = places.shape
    theirs = codes.gather(1, places.reshape(rows, -1, 1).expand(-1, -1, codes.shape[2])).view(rows, frames, count, -1)
    wrong = wrong.masked_fill((theirs == codes[:, :, None]).all(-1), float("-inf"))
    losses = torch.logsumexp(torch.cat([right, wrong], dim=2), dim=2) - right.squeeze(2)
    best = wrong.detach().amax(2)
    told = (right.detach().squeeze(2) > best) & (best > float("-inf")) & hidden
    return torch.where(hidden, losses, 0.0).sum(), told.sum().float()


@dataclass(frozen=True)
class Use:
    """How much each codevector is used by hidden frames."""

    summed: torch.Tensor
    """(groups, codevectors): probabilities summed over hidden frames, float32."""
    frames: torch.Tensor
    """Number of hidden frames, scalar, float32."""

    @classmethod
    def of(cls, probabilities: torch.Tensor, hidden: torch.Tensor) -> Use:
        """Of one batch: probabilities (B, T, groups, codevectors), hidden (B, T)."""
        kept = torch.where(hidden[:, :, None, None], probabilities.float(), 0.0)
        return cls(kept.sum((0, 1)), hidden.sum().float())

    def flat(self) -> torch.Tensor:
        """As one tensor that can be added up, (groups * codevectors + 1,)."""
        return torch.cat([self.summed.detach().reshape(-1), self.frames.reshape(1)])

    @classmethod
    def unflat(cls, values: torch.Tensor, like: Use) -> Use:
        """What `flat` made, of the same sizes as `like`."""
        return cls(values[:-1].view_as(like.summed), values[-1])

    @property
    def mean(self) -> torch.Tensor:
        """(groups, codevectors), each group's sum is 1."""
        return self.summed / self.frames.clamp(min=1.0)

    def perplexity(self) -> torch.Tensor:
        """Codevectors in use, summed over groups, scalar: from `groups`, where each uses one, to all there are."""
        return torch.exp(-torch.xlogy(self.mean, self.mean).sum(1)).sum()


def diversity(part: Use, step: Use | None) -> tuple[torch.Tensor, torch.Tensor]:
    """(the diversity loss of a part times its hidden frames, the perplexity it goes by), scalars.

    The loss is the share of codevectors that are not in use, 0 to below 1. `step`: use in the whole step, None where
    the part is all of it.
    """
    total = part.summed.numel()
    if step is None:
        perplexity = part.perplexity()
        return (1.0 - perplexity / total) * part.frames, perplexity.detach()
    mean = step.mean.detach()
    groups = torch.exp(-torch.xlogy(mean, mean).sum(1, keepdim=True))
    slope = groups * (torch.log(mean.clamp(min=torch.finfo(mean.dtype).tiny)) + 1.0) / total  # of the loss, by `mean`
    tangent = (slope * part.summed).sum()
    perplexity = step.perplexity().detach()
    return (1.0 - perplexity / total) * part.frames + tangent - tangent.detach(), perplexity
