"""Language, task and text -> the tokens Whisper is asked with and learns: <|sot|><|tr|><|transcribe|><|notimestamps|> …

The order is that of arXiv 2212.04356, figure 1. English-only checkpoints have neither language nor task token; the
family says so by a tokenizer whose `task` is None.
"""

from __future__ import annotations

import zlib
from typing import Any

from voxcli.api import Utterance
from voxcli.errors import ModelError

TIMESTAMP_STEP = 0.02  # s between two timestamp tokens


def prefix(tokenizer: Any, language: str | None, task: str | None, *, timestamps: bool = False) -> list[int]:
    """The tokens before the text, from <|startoftranscript|> on. Raises `ModelError` for one the tokenizer lacks."""
    names = ["<|startoftranscript|>"]
    if language is not None:
        names += [f"<|{language}|>", f"<|{task or 'transcribe'}|>"]
    if not timestamps:
        names.append("<|notimestamps|>")
    ids: list[int] = tokenizer.convert_tokens_to_ids(names)
    missing = [name for name, number in zip(names, ids, strict=True) if number in (None, tokenizer.unk_token_id)]
    if missing:
        raise ModelError(
            f"the model has no token {' '.join(missing)}",
            help="name a language it knows; or take the tokenizer files of the checkpoint it was trained from",
        )
    return ids


def label_tokens(tokenizer: Any, text: str, before: list[int], *, duration: float | None = None) -> list[int]:
    """prefix + text + <|endoftext|>; with a duration the text stands between its begin and end as timestamp tokens."""
    body: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    if duration is not None:
        first = tokenizer.convert_tokens_to_ids("<|notimestamps|>") + 1
        last = min(first + round(duration / TIMESTAMP_STEP), len(tokenizer) - 1)
        body = [first, *body, last]
    return [*before, *body, tokenizer.eos_token_id]


def is_multilingual(tokenizer: Any) -> bool:
    """Whether a tokenizer that the Whisper family prepared belongs to a multilingual checkpoint."""
    return tokenizer.task is not None


def label_language(utterance: Utterance, chosen: str | None, tokenizer: Any) -> str | None:
    """The code a label begins with: the recipe's language, else the utterance's, else the checkpoint's own.

    None for English-only checkpoints, and where nobody names one.
    """
    if not is_multilingual(tokenizer):
        return None
    own: str | None = tokenizer.language
    if chosen is not None:
        return own  # the family has put its code there
    if utterance.language is None:
        return own
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    name = utterance.language.strip().lower()
    return TO_LANGUAGE_CODE.get(name, name.replace("_", "-").partition("-")[0])


def learns_times(utterance: Utterance, share: float) -> bool:
    """Whether an utterance is among the share learned with timestamps: decided by its id, so always the same."""
    return zlib.crc32(utterance.id.encode()) < share * 2**32
