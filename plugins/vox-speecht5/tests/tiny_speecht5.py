"""A SpeechT5 of two layers with random weights, and a HiFi-GAN, as ordinary folders of transformers."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import SpeechT5Config, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech, SpeechT5Processor

from vox_speecht5.loading import letters

SIZES = {
    "hidden_size": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "speech_decoder_prenet_units": 16,
    "speech_decoder_postnet_units": 8,
    "speech_decoder_postnet_layers": 3,
    "speaker_embedding_dim": 8,
    "encoder_max_relative_position": 20,
}
STILL = {
    f"{name}_dropout": 0.0
    for name in ("positional", "hidden", "attention", "activation", "speech_decoder_prenet", "speech_decoder_postnet")
} | {"encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
"""Sizes of a model in which nothing is drawn."""


def tiny_speecht5(folder: Path, **sizes: object) -> Path:
    """Write a model whose batch normalisation has statistics of its own, with its processor; return the folder."""
    tokenizer = letters(" '.abcdefghijklmnopqrstuvwxyz")
    torch.manual_seed(0)
    model = SpeechT5ForTextToSpeech(SpeechT5Config(**{**SIZES, "vocab_size": len(tokenizer), **sizes}))
    for layer in model.speech_decoder_postnet.layers:
        layer.batch_norm.running_mean.normal_()
        layer.batch_norm.running_var.uniform_(0.5, 2.0)
    model.save_pretrained(folder)
    SpeechT5Processor(SpeechT5FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def tiny_vocoder(folder: Path) -> Path:
    """Write a HiFi-GAN of a few channels: 256 samples a frame, as SpeechT5's."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    torch.manual_seed(0)
    config = SpeechT5HifiGanConfig(
        upsample_initial_channel=16, resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]]
    )
    SpeechT5HifiGan(config).save_pretrained(folder)
    return folder
