"""Folders of models with random weights in published sizes, and two tasks that voxcli has no family for: made to be
trained for two steps while their memory is counted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from voxcli.api import Bundle, Corpus, Decoding, Limits, Transcript, Utterance, config
from voxcli.models.checkpoint import quietly
from voxcli.testing_models import CHARACTERS, tiny_whisper

RATE = 16_000
# (width, layers of the encoder and of the decoder, heads): arXiv 2212.04356, table 1
WHISPER = {"tiny": (384, 4, 6), "base": (512, 6, 8), "small": (768, 12, 12), "medium": (1024, 24, 16)}


def whisper(folder: Path, size: str) -> Path:
    """A Whisper of that size with random weights."""
    if (folder / "config.json").exists():
        return folder
    width, layers, heads = WHISPER[size]
    return tiny_whisper(
        folder,
        window=30,
        vocab_size=51_865,
        num_mel_bins=80,
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_target_positions=448,
    )


# hidden size, layers, heads, width of the feed-forward layers
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}


def ctc(folder: Path, architecture: str, **sizes: Any) -> Path:
    """A CTC model of any architecture with a character vocabulary and random weights."""
    from transformers import AutoConfig, AutoModelForCTC

    from voxcli.models.ctc_build import _processor, feature_extractor

    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    classes = ["<pad>", "<unk>", *(c.replace(" ", "|") for c in CHARACTERS)]
    (folder / "vocab.json").write_text(json.dumps({name: index for index, name in enumerate(classes)}))
    from transformers import Wav2Vec2CTCTokenizer

    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    made = AutoConfig.for_model(architecture, vocab_size=len(classes), pad_token_id=0, **sizes)
    with quietly():
        AutoModelForCTC.from_config(made).save_pretrained(folder)
        _processor(architecture, feature_extractor(None, made), tokenizer).save_pretrained(folder)
    return folder


def other(folder: Path, name: str, **sizes: Any) -> Path:
    """A model of any class of transformers with its default config, and its feature extractor."""
    import transformers

    if (folder / "config.json").exists():
        return folder
    cls = getattr(transformers, name)
    with quietly():
        cls(cls.config_class(**sizes)).save_pretrained(folder)
        extractor = "ASTFeatureExtractor" if name.startswith("AST") else "Wav2Vec2FeatureExtractor"
        getattr(transformers, extractor)().save_pretrained(folder)
    return folder


@config
class FromFolder:
    """A family of one checkpoint folder, as a plugin would write it."""

    task: ClassVar[str] = "other"

    checkpoint: str
    """The folder."""
    cls: str
    """Name of the model's class in transformers."""
    extractor: str
    """Name of its feature extractor's."""

    def limits(self) -> Limits:
        """No limits that matter here."""
        return Limits(
            sampling_rate=RATE, min_duration=0.1, max_duration=10.24, stride=1, max_label_length=None, n_parameters=0
        )

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """The model, and its feature extractor in a processor's place."""
        import transformers

        with quietly():
            model = getattr(transformers, self.cls).from_pretrained(self.checkpoint, **loading)
            extractor = getattr(transformers, self.extractor).from_pretrained(self.checkpoint)
        return Bundle(model=model, processor=_Processor(extractor), family=self)


@dataclasses.dataclass
class _Processor:
    feature_extractor: Any

    @property
    def sampling_rate(self) -> int:
        return RATE


class _Scored:
    """The parts of a task that need no memory."""

    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        return None

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        return 0

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        raise NotImplementedError


@config
class Classification(_Scored):
    """A label for a clip of fixed length (Audio Spectrogram Transformer, arXiv 2104.01778)."""

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) -> log-mel (1024, 128)."""
        made = bundle.processor.feature_extractor(audio, sampling_rate=RATE, return_tensors="np")
        return {"input_values": made["input_values"][0]}

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """input_values (B, 1024, 128), labels (B,)."""
        import torch

        values = np.stack([item["input_values"] for item in items])
        return {"input_values": torch.from_numpy(values), "labels": torch.zeros(len(items), dtype=torch.long)}

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Sum of the cross entropies, number of clips."""
        import torch

        logits = bundle.model(input_values=batch["input_values"]).logits
        total = torch.nn.functional.cross_entropy(logits.float(), batch["labels"], reduction="sum")
        return total, torch.tensor(len(batch["labels"]))

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Any]:
        """The class of each clip."""
        found: list[Any] = bundle.model(input_values=batch["input_values"]).logits.argmax(-1).tolist()
        return found


@config
class Pretraining(_Scored):
    """wav2vec 2.0's own loss (arXiv 2006.11477): find the right frame among 100 others, for half of the frames."""

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) -> the same with mean 0 and variance 1."""
        return {"input_values": ((audio - audio.mean()) / (audio.std() + 1e-7)).astype(np.float32)}

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """input_values (B, N), mask_time_indices (B, T), sampled_negative_indices (B, T, 100)."""
        import torch
        from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

        longest = max(len(item["input_values"]) for item in items)
        values = np.stack([np.pad(item["input_values"], (0, longest - len(item["input_values"]))) for item in items])
        shape = (len(items), (longest - 400) // 320 + 1)
        mask = _compute_mask_indices(shape, mask_prob=0.65, mask_length=10)
        negatives = _sample_negative_indices(shape, 100, mask)
        return {
            "input_values": torch.from_numpy(values),
            "mask_time_indices": torch.from_numpy(mask),
            "sampled_negative_indices": torch.from_numpy(negatives),
        }

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Sum over the masked frames, their number."""
        return bundle.model(**batch).loss, batch["mask_time_indices"].sum()

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Any]:
        """Nothing to tell."""
        return []
