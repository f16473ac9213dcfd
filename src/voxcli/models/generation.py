"""Whisper's generation config: which languages a checkpoint knows, and what older or converted checkpoints lack in it.

`generate` of transformers needs keys in generation_config.json that checkpoints converted or saved without care do not
have (language table, `no_timestamps_token_id`); all but the alignment heads can be read off the tokenizer.
"""

from __future__ import annotations

from typing import Any

MULTILINGUAL_VOCABULARY = 51865  # English-only checkpoints have one token less (openai/whisper, model.py)
_TASKS = ("transcribe", "translate")


def is_multilingual(model: Any) -> bool:
    """Whether a mended model takes `language` and `task`."""
    return bool(model.generation_config.is_multilingual)


def languages(model: Any) -> dict[str, int]:
    """Code -> token of every language a mended model knows; empty for an English-only one."""
    table = getattr(model.generation_config, "lang_to_id", None) or {}
    return {token.removeprefix("<|").removesuffix("|>"): index for token, index in table.items()}


def known_languages() -> set[str]:
    """Every code that any Whisper knows."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return set(LANGUAGES)


def mend(model: Any, tokenizer: Any) -> None:
    """Complete the generation config from the tokenizer and clear the legacy fields, in place.

    Alignment heads cannot be derived: word times are refused later, with the repair, where they are missing.
    """
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    settings = model.generation_config
    vocabulary = tokenizer.get_vocab()
    if getattr(settings, "is_multilingual", None) is None:
        settings.is_multilingual = model.config.vocab_size != MULTILINGUAL_VOCABULARY - 1
    if getattr(settings, "no_timestamps_token_id", None) is None and "<|notimestamps|>" in vocabulary:
        settings.no_timestamps_token_id = vocabulary["<|notimestamps|>"]
    if getattr(settings, "prev_sot_token_id", None) is None and "<|startofprev|>" in vocabulary:
        settings.prev_sot_token_id = vocabulary["<|startofprev|>"]
    if settings.is_multilingual:
        if not getattr(settings, "lang_to_id", None):
            codes = (code for code in LANGUAGES if f"<|{code}|>" in vocabulary)
            settings.lang_to_id = {f"<|{code}|>": vocabulary[f"<|{code}|>"] for code in codes}
        if not getattr(settings, "task_to_id", None):
            settings.task_to_id = {task: vocabulary[f"<|{task}|>"] for task in _TASKS if f"<|{task}|>" in vocabulary}
    for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id", "bos_token_id"):
        if getattr(settings, name, None) is None:
            setattr(settings, name, getattr(model.config, name, None))
    settings.forced_decoder_ids = None
    if getattr(model.config, "forced_decoder_ids", None) is not None:
        model.config.forced_decoder_ids = None
    if settings.max_length in (None, 20):  # 20 is transformers' default, and what old Whisper configs hold
        settings.max_length = model.config.max_target_positions
    settings._from_model_config = False  # else the keys above vanish when the checkpoint is read back
