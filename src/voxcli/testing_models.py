"""Tiny models with random weights, written as ordinary checkpoint folders: for tests of voxcli and of its plugins.

    checkpoint = tiny_whisper(tmp_path / "whisper")      # a byte-level vocabulary, 99 languages, windows of 3 s
    checkpoint = tiny_ctc(tmp_path / "ctc", architecture="wav2vec2")

Each takes well under a second, needs no network, and loads with `from_pretrained`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxcli.models.checkpoint import quietly

CHARACTERS = " 'abcdefghijklmnopqrstuvwxyz"
HIDDEN = 16
TIMESTAMP_STEP = 0.02  # s between two timestamp tokens of Whisper


def tiny_whisper(folder: Path, *, multilingual: bool = True, window: int = 3, seed: int = 0, **sizes: Any) -> Path:
    """Write a Whisper of two layers, about 60 kB of weights, and its processor; return the folder.

    `window` is the length of its encoder window in s (Whisper's own is 30). `sizes` overrides keys of WhisperConfig.
    The vocabulary is the 256 bytes and Whisper's special tokens, so every text can be encoded.
    """
    import torch
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    frames = window * 50  # encoder frames: 10 ms mel frames, halved by the second convolution
    languages = [code for code in LANGUAGES if code != "yue"]
    special = ["<|startoftranscript|>", *(f"<|{code}|>" for code in languages)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>"]
    vocabulary = {byte: index for index, byte in enumerate(sorted(ByteLevel.alphabet()))}
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = WhisperTokenizer(
        vocab=vocabulary, merges=[], pad_token="<|endoftext|>", additional_special_tokens=special
    )
    times = [f"<|{index * TIMESTAMP_STEP:.2f}|>" for index in range(frames + 1)]
    tokenizer.add_tokens([AddedToken(time, special=False, normalized=False) for time in times])

    def number(token: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(token))

    end, start = number("<|endoftext|>"), number("<|startoftranscript|>")
    tokens = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    config = WhisperConfig(
        **{
            "vocab_size": len(tokenizer),
            "num_mel_bins": 16,
            "d_model": HIDDEN,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 2 * HIDDEN,
            "decoder_ffn_dim": 2 * HIDDEN,
            "max_source_positions": frames,
            "max_target_positions": 64,
            **tokens,
            **sizes,
        }
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config)
    generation: dict[str, Any] = {
        **tokens,
        "max_length": config.max_target_positions,
        "alignment_heads": [[0, 0], [1, 1]],
        "no_timestamps_token_id": number("<|notimestamps|>"),
        "prev_sot_token_id": number("<|startofprev|>"),
        "max_initial_timestamp_index": 50,
        "is_multilingual": multilingual,
        "return_timestamps": False,
    }
    if multilingual:
        generation["lang_to_id"] = {f"<|{code}|>": number(f"<|{code}|>") for code in languages}
        generation["task_to_id"] = {task: number(f"<|{task}|>") for task in ("translate", "transcribe")}
    model.generation_config = GenerationConfig(**generation)
    extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=window)
    with quietly():
        model.save_pretrained(folder)
        WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def tiny_ctc(
    folder: Path, *, architecture: str = "wav2vec2", characters: str = CHARACTERS, seed: int = 0, **sizes: Any
) -> Path:
    """Write a CTC model of two layers with a character vocabulary, and its processor; return the folder.

    `architecture` is "wav2vec2" (waveform in, 20 ms a frame), "parakeet_ctc" (log-mel in, 40 ms a frame) or
    "wav2vec2-bert" (log-mel in, 20 ms a frame). `sizes` overrides keys of its config (the encoder's, for Parakeet).
    """
    import torch
    from transformers import (
        AutoModelForCTC,
        ParakeetCTCConfig,
        ParakeetFeatureExtractor,
        ParakeetProcessor,
        SeamlessM4TFeatureExtractor,
        Wav2Vec2BertConfig,
        Wav2Vec2BertProcessor,
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Processor,
    )

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<pad>": 0, "<unk>": 1, **{c.replace(" ", "|"): i for i, c in enumerate(characters, start=2)}}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    layers = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 2 * HIDDEN}
    head = {"vocab_size": len(vocabulary), "pad_token_id": 0}
    config: Any
    processor: Any
    if architecture == "wav2vec2":
        stack = {"conv_dim": (HIDDEN,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
        norm = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "mask_time_prob": 0.0}
        config = Wav2Vec2Config(**{**layers, **stack, **norm, **head, "layerdrop": 0.0, **sizes})
        masks = config.feat_extract_norm == "layer"
        processor = Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=masks), tokenizer)
    elif architecture == "wav2vec2-bert":
        bins = {"feature_projection_input_dim": 32, "mask_time_prob": 0.0, "layerdrop": 0.0}
        config = Wav2Vec2BertConfig(**{**layers, **bins, **head, **sizes})
        extractor = SeamlessM4TFeatureExtractor(feature_size=16, num_mel_bins=16, stride=2)
        processor = Wav2Vec2BertProcessor(extractor, tokenizer)
    elif architecture == "parakeet_ctc":
        mel = {"num_mel_bins": 16, "subsampling_factor": 4, "subsampling_conv_channels": 8, "layerdrop": 0.0}
        config = ParakeetCTCConfig(encoder_config={**layers, **mel, **sizes}, **head)
        processor = ParakeetProcessor(ParakeetFeatureExtractor(feature_size=16), tokenizer)
    else:
        raise ValueError(f"tiny_ctc knows wav2vec2, wav2vec2-bert and parakeet_ctc, not {architecture!r}")
    torch.manual_seed(seed)
    with quietly():
        AutoModelForCTC.from_config(config).save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


def tiny_classifier(
    folder: Path, *, architecture: str = "wav2vec2", labels: Sequence[str] | None = None, seed: int = 0, **sizes: Any
) -> Path:
    """Write an audio classifier of two layers and its feature extractor; return the folder.

    `architecture` is any that AutoModelForAudioClassification knows. Without `labels` it is an encoder as it comes from
    pre-training, without a head. `sizes` overrides keys of its config.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification

    from voxcli.models.classifier_build import feature_extractor

    layers = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 2 * HIDDEN}
    stack = {"conv_dim": (HIDDEN,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    small: dict[str, Any] = layers | stack | {"mask_time_prob": 0.0, "layerdrop": 0.0, "classifier_proj_size": HIDDEN}
    if architecture == "whisper":
        small = {"d_model": HIDDEN, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": HIDDEN}
        small |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": HIDDEN, "num_mel_bins": 16}
        small |= {"max_source_positions": 150, "classifier_proj_size": HIDDEN}
    elif architecture == "audio-spectrogram-transformer":
        small = layers | {
            "num_mel_bins": 32,
            "max_length": 128,
            "patch_size": 8,
            "time_stride": 8,
            "frequency_stride": 8,
        }
    elif architecture == "wav2vec2-bert":
        small = layers | {"feature_projection_input_dim": 32, "mask_time_prob": 0.0, "layerdrop": 0.0}
    elif architecture.startswith("sew"):
        convolutions = {"conv_dim": (HIDDEN,) * 7, "conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, *(2,) * 6)}
        small |= convolutions | {"squeeze_factor": 1}
    config: Any = AutoConfig.for_model(architecture, **(small | sizes))
    if labels is not None:
        config.id2label, config.label2id = dict(enumerate(labels)), {name: i for i, name in enumerate(labels)}
    torch.manual_seed(seed)
    made = AutoModel if labels is None else AutoModelForAudioClassification
    with quietly():
        made.from_config(config).save_pretrained(folder)
        feature_extractor(None, config).save_pretrained(folder)
    return folder


def tiny_pretraining(folder: Path, *, seed: int = 0, **sizes: Any) -> Path:
    """Write a wav2vec 2.0 of two layers with its quantiser, as pre-training leaves it, and its feature extractor.

    `sizes` overrides keys of its config. Returns the folder.
    """
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

    layers = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 2 * HIDDEN}
    stack = {"conv_dim": (HIDDEN,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    norm = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "layerdrop": 0.0}
    codes = {"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 6}
    config = Wav2Vec2Config(**{**layers, **stack, **norm, **codes, **sizes})
    torch.manual_seed(seed)
    with quietly():
        Wav2Vec2ForPreTraining(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder


def tiny_text_model(folder: Path, kind: str = "bart", *, characters: str | None = None, **sizes: Any) -> Path:
    """Write a text model of one layer and its tokenizer: bytes, or one token for each of some characters.

    The decoder of a model of type encoder-decoder. `kind` is any that AutoModelForCausalLM knows: "bart", "gpt2" …;
    `sizes` overrides keys of its config. Returns the folder.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet()) if characters is None else [*characters]
    vocabulary = {token: number for number, token in enumerate([*special, *letters])}
    raw = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    if characters is None:
        raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), special, strict=True))
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    bart = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_layers": 1}
    bart |= {"d_model": 16, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    usual = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    width = {"bart": bart, "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2}}.get(kind, usual)
    config = AutoConfig.for_model(
        kind, **{"vocab_size": len(vocabulary), "max_position_embeddings": 48, **tokens, **width, **sizes}
    )
    torch.manual_seed(0)
    with quietly():
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        PreTrainedTokenizerFast(tokenizer_object=raw, **names).save_pretrained(folder)
    return folder
