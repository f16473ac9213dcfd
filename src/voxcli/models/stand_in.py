"""config.json alone -> a tokenizer and a feature extractor of the right sizes, for a plan made before a download.

Special tokens have the ids of the real ones, as the order of arXiv 2212.04356's vocabulary gives them. Text becomes
about one token for two bytes of UTF-8; the real ones are fewer, for English by half.
"""

from __future__ import annotations

import itertools
from typing import Any

from voxcli.models.checkpoint import has_file, only_config, read_json

TOKENIZERS = ("tokenizer.json", "vocab.json")
EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
_BYTES = 256
_AFTER_LANGUAGES = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")


def lacks_tokenizer(checkpoint: str) -> bool:
    """Whether a plan has to do without the checkpoint's tokenizer."""
    return only_config() and not any(has_file(checkpoint, file) for file in TOKENIZERS)


def lacks_extractor(checkpoint: str) -> bool:
    """Whether a plan has to do without the checkpoint's feature extractor."""
    if not only_config() or has_file(checkpoint, EXTRACTORS[0]):
        return False
    return "feature_extractor" not in (read_json(checkpoint, EXTRACTORS[1]) or {})


def whisper_extractor(config: Any) -> Any:
    """Log-mel of the window and the bins that the model takes."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=config.max_source_positions // 50)


def whisper_tokenizer(config: Any) -> Any:
    """As many tokens as the model has classes; languages in their order, as many as there is room for."""
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import WhisperTokenizer
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    end, start = int(config.eos_token_id), int(config.decoder_start_token_id)
    vocabulary = {byte: index for index, byte in enumerate(sorted(ByteLevel.alphabet()))}
    merges = []
    for pair in itertools.islice(itertools.product(_common(), repeat=2), max(0, end - _BYTES)):
        vocabulary.setdefault("".join(pair), len(vocabulary))
        merges.append(pair)
    for number in range(len(vocabulary), end):
        vocabulary[f"<|unused{number}|>"] = number
    vocabulary["<|endoftext|>"] = end
    times = [f"<|{index * 0.02:.2f}|>" for index in range(config.max_source_positions + 1)]
    room = int(config.vocab_size) - start - 1 - len(_AFTER_LANGUAGES) - len(times)
    languages = list(LANGUAGES)[: max(room, 0)]
    special = ["<|startoftranscript|>", *(f"<|{name}|>" for name in (*languages, *_AFTER_LANGUAGES))]
    tokenizer = WhisperTokenizer(
        vocab=vocabulary, merges=merges, pad_token="<|endoftext|>", additional_special_tokens=special
    )
    tokenizer.add_tokens([AddedToken(time, special=False, normalized=False) for time in times])
    return tokenizer


def _common() -> list[str]:
    """The letters by which byte-level tokenizers write a space, small letters, and the bytes beyond ASCII."""
    from tokenizers.pre_tokenizers import ByteLevel

    beyond = sorted(letter for letter in ByteLevel.alphabet() if ord(letter) > 126)
    return [*"abcdefghijklmnopqrstuvwxyz'", *beyond]
