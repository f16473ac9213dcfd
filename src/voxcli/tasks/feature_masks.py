"""SpecAugment (arXiv 1904.08779) on log-mel, for architectures that do not mask their inputs themselves.

Stretches of frames and bands of bins are set to 0, which is the mean of normalised log-mel. Everything is drawn from
torch's default generator of the features' device, so a run that restores the generator's state repeats its masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def mask(features: torch.Tensor, lengths: torch.Tensor, masks: Mapping[str, float]) -> torch.Tensor:
    """Log-mel (B, T, C), valid frames (B,) -> a masked copy. `masks` holds mask_{time,feature}_{prob,length}."""
    import torch

    batch, frames, bins = features.shape
    hidden = torch.zeros(batch, frames, bins, dtype=torch.bool, device=features.device)
    if masks.get("mask_time_prob", 0.0) > 0:
        hidden |= _spans(lengths, frames, masks["mask_time_prob"], int(masks["mask_time_length"]))[:, :, None]
    if masks.get("mask_feature_prob", 0.0) > 0:
        whole = torch.full_like(lengths, bins)
        hidden |= _spans(whole, bins, masks["mask_feature_prob"], int(masks["mask_feature_length"]))[:, None, :]
    return features.masked_fill(hidden, 0.0)


def _spans(lengths: torch.Tensor, size: int, share: float, span: int) -> torch.Tensor:
    """(B, size) bool: `share` of each row's length covered by spans, counted before they overlap; the rounding is
    drawn, so that short rows get their share on average. Rows shorter than a span get none.
    """
    import torch

    device = lengths.device
    most = int(share * size / span) + 1
    wanted = (share * lengths / span + torch.rand(len(lengths), device=device)).floor()
    wanted = torch.where(lengths >= span, wanted, 0)
    room = (lengths - span + 1).clamp(min=1)
    begins = (torch.rand(len(lengths), most, device=device) * room[:, None]).floor()
    used = torch.arange(most, device=device)[None] < wanted[:, None]
    at = torch.arange(size, device=device)
    inside = (at >= begins[:, :, None]) & (at < begins[:, :, None] + span) & used[:, :, None]
    return inside.any(1)
