"""Segments -> subtitles of a readable size.

Two lines of at most 42 characters, on screen for at most 7 s: the limits of common subtitle guides (Netflix Timed Text
Style Guide, BBC Subtitle Guidelines). A segment is only split where the times of its words are known: without them
the times of its parts would be invented, so that it stays one subtitle with more lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxcli.api import Segment, Transcript

MAX_LINE_WIDTH = 42  # characters
MAX_LINES = 2
MAX_DURATION = 7.0  # s
MIN_DURATION = 0.1  # s: a subtitle that ends when it begins is never shown
SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "।")
CLAUSE_ENDS = (",", ";", ":", "–", "—", "、", "，")


@dataclass(frozen=True)
class Cue:
    """One subtitle: its lines are separated by newlines; times in s."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class _Piece:
    """A word with the punctuation and space that follow it in the segment's text."""

    text: str
    start: float
    end: float


def segments(transcript: Transcript) -> tuple[Segment, ...]:
    """The transcript's segments; a text without any is one segment over the whole recording."""
    if transcript.segments or not transcript.text.strip():
        return transcript.segments
    return (Segment(transcript.text, 0.0, transcript.duration),)


def cues(transcript: Transcript, *, max_line_width: int = MAX_LINE_WIDTH, max_lines: int = MAX_LINES) -> Iterator[Cue]:
    """The subtitles of a transcript, in order, none empty."""
    for segment in segments(transcript):
        parts = list(_split(_pieces(segment), max_line_width, max_lines))
        for part in parts:
            text = wrap("".join(piece.text for piece in part), max_line_width)
            if text:
                whole = len(parts) == 1
                start, end = (segment.start, segment.end) if whole else (part[0].start, part[-1].end)
                yield Cue(start, max(end, start + MIN_DURATION), text)


def wrap(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters, as even as that number of lines allows."""
    text = " ".join(text.split())
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    if len(lines) < 2:
        return text
    narrower = -(-len(text) // len(lines))
    for even in range(narrower, width):
        candidate = textwrap.wrap(text, even, break_on_hyphens=False, break_long_words=False)
        if len(candidate) == len(lines) and max(map(len, candidate)) <= width:
            return "\n".join(candidate)
    return "\n".join(lines)


def _pieces(segment: Segment) -> list[_Piece]:
    """The segment cut after each word, so that joined pieces spell its text in scripts with and without spaces."""
    starts, position = [], 0
    for word in segment.words:
        at = segment.text.find(word.text.strip(), position)
        if at < 0:  # words that do not spell the text: the text is what is shown, in one piece
            return [_Piece(segment.text, segment.start, segment.end)]
        starts.append(at)
        position = at + len(word.text.strip())
    if not starts:
        return [_Piece(segment.text, segment.start, segment.end)]
    bounds = [0, *starts[1:], len(segment.text)]
    return [
        _Piece(segment.text[begin:end], word.start, word.end)
        for word, begin, end in zip(segment.words, bounds, bounds[1:], strict=False)
    ]


def _split(pieces: Sequence[_Piece], width: int, max_lines: int) -> Iterator[Sequence[_Piece]]:
    """Halve at the best place until every part fits."""
    lines = wrap("".join(piece.text for piece in pieces), width).count("\n") + 1
    duration = pieces[-1].end - pieces[0].start
    if len(pieces) == 1 or (lines <= max_lines and duration <= MAX_DURATION):
        yield pieces
        return
    cut = min(range(1, len(pieces)), key=lambda at: _cost(pieces, at))
    yield from _split(pieces[:cut], width, max_lines)
    yield from _split(pieces[cut:], width, max_lines)


def _cost(pieces: Sequence[_Piece], at: int) -> float:
    """How bad it is to cut before piece `at`: uneven halves cost, the end of a sentence, a clause or a pause pays."""
    left = sum(len(piece.text) for piece in pieces[:at])
    right = sum(len(piece.text) for piece in pieces[at:])
    before = pieces[at - 1].text.rstrip(" \"'”’»)")
    pause = max(pieces[at].start - pieces[at - 1].end, 0.0)
    gain = 0.5 if before.endswith(SENTENCE_ENDS) else 0.25 if before.endswith(CLAUSE_ENDS) else 0.0
    return abs(left - right) / (left + right) - gain - min(pause, 1.0) / 2
