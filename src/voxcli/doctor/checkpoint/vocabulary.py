"""A checkpoint's folder -> its tokens and their ids, from the files themselves: no tokenizer is built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def vocabulary_of(folder: Path, settings: Mapping[str, Any]) -> dict[str, int] | None:
    """Token -> id of tokenizer.json or vocab.json, with the tokens that were added.

    `settings` is tokenizer_config.json. None where there is neither file or it has another form (sentencepiece).
    """
    whole = _read(folder / "tokenizer.json")
    if isinstance(whole, dict):
        found = _of_model(whole.get("model"))
        if found is None:
            return None
        for token in whole.get("added_tokens") or ():
            found[str(token["content"])] = int(token["id"])
        return found
    plain = _read(folder / "vocab.json")
    if not isinstance(plain, dict):
        return None
    if plain and all(isinstance(inner, dict) for inner in plain.values()):  # one vocabulary a language (MMS)
        if settings.get("target_lang") not in plain:
            return None
        plain = plain[settings["target_lang"]]
    found = {str(token): int(number) for token, number in plain.items() if isinstance(number, int)}
    for number, token in (settings.get("added_tokens_decoder") or {}).items():
        found.setdefault(str(token.get("content")) if isinstance(token, dict) else str(token), int(number))
    added = _read(folder / "added_tokens.json")
    if isinstance(added, dict):
        found |= {str(token): int(number) for token, number in added.items()}
    return found


def special(settings: Mapping[str, Any], name: str) -> str | None:
    """A special token of tokenizer_config.json, "pad_token" for example, in either of the two forms."""
    token = settings.get(name)
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None


def language_word(word: Any) -> str:
    """A language or a task as one word: "Turkish", "tr" and "<|tr|>" are one language."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    text = str(word).lower().removeprefix("<|").removesuffix("|>")
    return str(TO_LANGUAGE_CODE.get(text, text))


def _of_model(model: Any) -> dict[str, int] | None:
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        return {str(token): int(number) for token, number in vocabulary.items()}
    if isinstance(vocabulary, list):  # Unigram: (token, score)
        return {str(entry[0]): number for number, entry in enumerate(vocabulary)}
    return None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
