"""Tokens of a byte-level vocabulary and the time each one ends -> words with their place in the audio.

A token may be part of a letter (UTF-8 bytes), so tokens are joined until they decode; a word begins where the decoded
piece begins with a space, or, in languages written without spaces, at every letter. Punctuation joins the word before.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from voxcli.api import Word

_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km", "bo"})
_BROKEN = "\ufffd"  # what incomplete UTF-8 decodes to
_LONGEST_LETTER = 4  # bytes


def words_of(
    tokens: list[int], ends: list[float], tokenizer: Any, *, language: str, start: float, stop_at: int
) -> tuple[Word, ...]:
    """Words of one segment. `ends[i]` is when token i ends, s; tokens from `stop_at` on are timestamps."""
    special = set(tokenizer.all_special_ids)
    words: list[Word] = []
    pending: list[int] = []
    clock = begin = start
    apart = True  # whether a space stands before the next piece
    for token, end in zip(tokens, ends, strict=False):
        if token >= stop_at or token in special:
            clock = begin = max(clock, end) if not pending else clock
            continue
        if not pending:
            begin = clock
        pending.append(token)
        clock = max(clock, end)
        piece = tokenizer.decode(pending)
        if _BROKEN in piece and len(pending) < _LONGEST_LETTER:
            continue
        pending = []
        apart = apart or piece[0].isspace()
        if not piece.strip():
            continue
        if apart or (language in _UNSPACED and not _is_punctuation(piece)):
            words.append(Word(piece.strip(), begin, clock))
        else:
            last = words.pop()
            words.append(Word(last.text + piece.rstrip(), last.start, clock))
        apart = piece[-1].isspace()
    return tuple(words)


def _is_punctuation(piece: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in piece.strip())
