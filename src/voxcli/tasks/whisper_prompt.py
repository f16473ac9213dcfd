"""Language, task and text -> the tokens Whisper is asked with and learns: <|sot|><|tr|><|transcribe|><|notimestamps|> …

The order is that of arXiv 2212.04356, figure 1. English-only checkpoints have neither language nor task token; the
family says so by a tokenizer whose `task` is None. What was said before may stand in front, behind <|startofprev|>: it
is given, never learned (section 2.3).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from voxcli.api import Segment, Utterance
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


def label_tokens(
    tokenizer: Any,
    text: str,
    before: list[int],
    *,
    duration: float | None = None,
    window: float = 30.0,
    segments: Sequence[Segment] = (),
) -> list[int]:
    """prefix + text + <|endoftext|>; with a duration the text stands between timestamp tokens, up to the window's last.

    These are the begin and the end of each segment where `segments` have the words of the text, else those of the clip.
    Their ids follow that of <|notimestamps|>; many a tokenizer has no names for them, so its length says nothing.
    """
    if duration is None:
        return [*before, *_encoded(tokenizer, text), tokenizer.eos_token_id]
    body: list[int] = []
    first = tokenizer.convert_tokens_to_ids("<|notimestamps|>") + 1
    for start, end, piece in _pieces(text, duration, segments):
        times = [first + round(min(time, window) / TIMESTAMP_STEP) for time in (start, end)]
        body += [times[0], *_encoded(tokenizer, f" {piece}" if body else piece), times[1]]
    return [*before, *body, tokenizer.eos_token_id]


def prompt_tokens(tokenizer: Any, previous: str, room: int) -> list[int]:
    """<|startofprev|> and the end of what was said before, `room` tokens at most; empty where there is no room."""
    start = tokenizer.convert_tokens_to_ids("<|startofprev|>")
    said = _encoded(tokenizer, f" {previous.strip()}")
    if room < 2 or not previous.strip() or start in (None, tokenizer.unk_token_id):
        return []
    return [start, *said[-(room - 1) :]]


def _pieces(text: str, duration: float, segments: Sequence[Segment]) -> list[tuple[float, float, str]]:
    """(start, end, text) of each segment; the whole clip where the segments do not have the words of the text.

    Words are counted, not compared: `[text]` has changed the one and not the other.
    """
    words = text.split()
    counts = [len(segment.text.split()) for segment in segments]
    if not words or sum(counts) != len(words):
        return [(0.0, duration, text)]
    found, at = [], 0
    for segment, count in zip(segments, counts, strict=True):
        if count:
            start, end = min(segment.start, duration), min(segment.end, duration)
            found.append((start, end, " ".join(words[at : at + count])))
        at += count
    return found


def _encoded(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


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


def among(utterance: Utterance, share: float, what: str = "") -> bool:
    """Whether an utterance is among a share of all: decided by its id, so always the same; apart for each `what`."""
    return zlib.crc32(f"{what}{utterance.id}".encode("utf-8", "surrogatepass")) < share * 2**32
