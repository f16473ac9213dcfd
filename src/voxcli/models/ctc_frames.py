"""Samples of a clip -> frames that a CTC model answers with, exactly, from the config alone.

CTC can learn an utterance exactly when frames >= labels + adjacent repeated labels, so an estimate will not do. Two
steps: what the feature extractor makes of N samples, and what the model's convolutions make of that; the second is the
model's own method, called without building the model.
"""

from __future__ import annotations

from typing import Any

from voxcli.models.precision import in_float32

HORIZON = 1_600_000  # samples: beyond any model's least input


def feature_frames(extractor: Any, n_samples: int) -> int:
    """Frames (or samples) that the feature extractor hands to the model for N samples, padding not counted."""
    kind = type(extractor).__name__
    if kind == "Wav2Vec2FeatureExtractor":
        return n_samples
    if kind == "ParakeetFeatureExtractor":
        return n_samples // int(extractor.hop_length)
    if kind == "SeamlessM4TFeatureExtractor":  # Kaldi's windows of 25 ms every 10 ms, `stride` of them joined
        return max(0, (n_samples - 400) // 160 + 1) // int(extractor.stride)
    if kind == "LasrFeatureExtractor":
        return max(0, (n_samples - int(extractor.win_length)) // int(extractor.hop_length) + 1)
    import numpy as np

    return len(features(extractor, np.zeros(n_samples, dtype=np.float32)))


@in_float32
def features(extractor: Any, audio: Any) -> Any:
    """Audio (N,) float32 -> what the model takes: (N,) float32 samples or (T, C) float32 log-mel, without padding."""
    import numpy as np

    out = extractor(audio, sampling_rate=extractor.sampling_rate, return_attention_mask=True, return_tensors="np")
    made = np.asarray(out[extractor.model_input_names[0]][0], dtype=np.float32)
    mask = out.get("attention_mask")
    return made if mask is None else made[: int(np.asarray(mask[0]).sum())]


def output_frames(config: Any, n_features: int) -> int:
    """Frames of the model's logits for that many feature frames (or samples); 0 where it cannot run at all."""
    import torch

    if n_features <= 0:
        return 0
    shell = _shell(config)
    if hasattr(shell, "_get_feat_extract_output_lengths"):
        frames = shell._get_feat_extract_output_lengths(torch.tensor([n_features]))
    else:
        frames = shell._get_subsampling_output_length(torch.tensor([n_features]))
    return max(0, int(frames[0]))


def _shell(config: Any) -> Any:
    """An object of the model's class that has its config and nothing else: the length methods need no more."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING

    model_class = MODEL_FOR_CTC_MAPPING[type(config)]
    shell = object.__new__(model_class)
    shell.__dict__["config"] = config
    return shell
