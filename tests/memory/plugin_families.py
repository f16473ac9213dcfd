"""Families and tasks as a plugin would bring them: audio classification with AST, pre-training with wav2vec 2.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from torch.nn import functional
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

from voxcli.api import Bundle, Corpus, Limits, Utterance, config


class Processor:
    """A feature extractor alone."""

    def __init__(self, feature_extractor: Any) -> None:
        self.feature_extractor = feature_extractor


@config
class Ast:
    """Audio spectrogram transformer, through its own `from_pretrained`."""

    task: ClassVar[str] = "classification"
    checkpoint: str

    def limits(self) -> Limits:
        return Limits(16_000, 0.1, 10.0, 160, None, 1)

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        model = transformers.ASTForAudioClassification.from_pretrained(
            self.checkpoint, num_labels=len(corpus.labels), ignore_mismatched_sizes=True, **loading
        )
        return Bundle(model, Processor(transformers.ASTFeatureExtractor(max_length=128, num_mel_bins=32)), self)


@config
class Classification:
    """The label of an utterance."""

    metrics: ClassVar[tuple[str, ...]] = ()

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        out = bundle.processor.feature_extractor(audio, sampling_rate=16_000, return_tensors="np")
        return {"input_values": out["input_values"][0], "label": 1}

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        values = torch.from_numpy(np.stack([item["input_values"] for item in items]))
        return {"input_values": values, "labels": torch.tensor([item["label"] for item in items])}

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        logits = bundle.model(input_values=batch["input_values"]).logits
        loss = functional.cross_entropy(logits.float(), batch["labels"], reduction="sum")
        return loss, torch.tensor(float(len(logits)), device=logits.device)


def save_ast(folder: Path) -> Path:
    sizes: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    mel: dict[str, Any] = {"num_mel_bins": 32, "max_length": 128, "intermediate_size": 96}
    transformers.ASTForAudioClassification(transformers.ASTConfig(**sizes, **mel)).save_pretrained(folder)
    return folder


@config
class Pretraining:
    """wav2vec 2.0 from random weights, made by its class itself."""

    task: ClassVar[str] = "contrastive"
    hidden_size: int = 48

    def limits(self) -> Limits:
        return Limits(16_000, 0.1, 30.0, 320, None, 1)

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        sizes: dict[str, Any] = {
            "hidden_size": self.hidden_size,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 96,
            "conv_dim": (32,) * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 4,
            "codevector_dim": 32,
            "proj_codevector_dim": 32,
            "num_negatives": 20,
            "layerdrop": 0.0,
        }
        model = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**sizes))
        return Bundle(model, Processor(transformers.Wav2Vec2FeatureExtractor()), self)


@config
class Contrastive:
    """Which of many frames belongs in a masked place (arXiv 2006.11477)."""

    metrics: ClassVar[tuple[str, ...]] = ()

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        return {"input_values": audio}

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        length = max(len(item["input_values"]) for item in items)
        values = torch.zeros(len(items), length)
        for row, item in zip(values, items, strict=True):
            row[: len(item["input_values"])] = torch.from_numpy(item["input_values"])
        frames = (length - 400) // 320 + 1
        masks = _compute_mask_indices((len(items), frames), 0.5, 5, min_masks=2)
        negatives = _sample_negative_indices((len(items), frames), 20, masks)
        return {
            "input_values": values,
            "mask_time_indices": torch.from_numpy(masks),
            "sampled_negative_indices": torch.from_numpy(negatives),
        }

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        out = bundle.model(**batch)
        return out.loss, batch["mask_time_indices"].sum()
