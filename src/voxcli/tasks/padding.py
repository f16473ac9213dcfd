"""Samples or log-mel of several clips -> one padded tensor, and the mask where the model was trained with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def padded(features: Sequence[np.ndarray], extractor: Any) -> dict[str, Any]:
    """B arrays (N,) or (T, C) -> (B, N) or (B, T, C) float32 under the model's name for it, and attention_mask (B, N or
    T) int64 where the feature extractor says that the model takes one.
    """
    import torch

    lengths = torch.tensor([len(one) for one in features])
    shape = (len(features), int(lengths.max()), *features[0].shape[1:])
    inputs = torch.full(shape, float(extractor.padding_value))
    for row, one in zip(inputs, features, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    batch: dict[str, Any] = {extractor.model_input_names[0]: inputs}
    if takes_mask(extractor):
        batch["attention_mask"] = (torch.arange(inputs.shape[1])[None] < lengths[:, None]).long()
    return batch


def takes_mask(extractor: Any) -> bool:
    """Waveform models say in their feature extractor whether they were trained with a mask; log-mel models all were."""
    return type(extractor).__name__ != "Wav2Vec2FeatureExtractor" or bool(extractor.return_attention_mask)
