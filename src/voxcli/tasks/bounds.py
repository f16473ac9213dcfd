"""A column of transcripts -> how many tokens each can make at most, without tokenizing a single one.

For `Task.candidates`, and for whoever has to find the labels that are too long among a million: the tokenizer is then
asked about the few that these bounds do not clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from voxcli.data.table import Strings
    from voxcli.text.codepoints import CodePoints

UNBOUNDED = 1 << 40


def most_tokens(texts: pa.ChunkedArray, tokenizer: Any) -> np.ndarray:
    """int64 (rows,). A text that is missing makes none.

    A character tokenizer makes a token of each character, a byte-level one at most one of each byte. Any other may
    write a character out first (㍿ in four), so that only ASCII is bounded by its length, with a space in front.
    """
    import numpy as np
    import pyarrow.compute as pc

    def lengths(of: Any) -> np.ndarray:
        return np.asarray(pc.fill_null(of(texts), 0).to_numpy(), np.int64)

    if by_character(tokenizer):
        return lengths(pc.utf8_length)
    size = lengths(pc.binary_length)
    if by_byte(tokenizer):
        return size + 1
    ascii = np.asarray(pc.fill_null(pc.string_is_ascii(texts), True).to_numpy(), np.bool_)
    return np.where(ascii, size + 1, UNBOUNDED)


def most_frames_needed(texts: pa.ChunkedArray, tokenizer: Any, *, points: CodePoints | None = None) -> np.ndarray:
    """Tokens and adjacent repeats of each label, int64 (rows,): the frames that CTC needs to learn it.

    `points` are the characters of the texts where they have been looked at already.
    """
    if not by_character(tokenizer):
        return 2 * most_tokens(texts, tokenizer)
    if points is None:
        from voxcli.text.codepoints import CodePoints

        points = CodePoints(texts)
    names = [str(tokenizer.word_delimiter_token) if one == " " else one for one in points.counts]
    table = dict(zip(points.counts, tokenizer.convert_tokens_to_ids(names), strict=True)) if names else {}
    return points.lengths + points.repeats(lambda one: int(table[one]))


def too_long(texts: Strings, tokenizer: Any, frames: np.ndarray) -> np.ndarray:
    """Which labels may need more frames than there are, bool (rows,); `frames` is int64 (rows,).

    Nearly all texts have so few bytes that nothing else has to be known of them: a byte makes a token and a repeat at
    most. Only the others are read.
    """
    if not by_character(tokenizer):
        return most_frames_needed(texts.array, tokenizer) > frames
    found: np.ndarray = 2 * texts.bytes > frames
    found[found] = most_frames_needed(texts.select(found).array, tokenizer) > frames[found]
    return found


def by_character(tokenizer: Any) -> bool:
    """Whether a tokenizer makes no more than one token of each character, and the same of equal ones."""
    return type(tokenizer).__name__ == "Wav2Vec2CTCTokenizer" and not getattr(tokenizer, "do_lower_case", False)


def by_byte(tokenizer: Any) -> bool:
    """Whether every token of a tokenizer stands for one byte or more of the text as it is."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return type(tokenizer).__name__ in ("WhisperTokenizer", "GPT2Tokenizer")
    split = repr(backend.pre_tokenizer)
    return backend.normalizer is None and "ByteLevel" in split and "add_prefix_space=True" not in split
