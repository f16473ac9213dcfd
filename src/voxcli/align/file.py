"""Alignments as a file: one JSON object a line, an utterance each.

    {"id": "audio/activated.flac", "text": "activated", "score": -0.072, "tokens": [["a", 0.118, 0.158], ...]}

`tokens` are the text's in order, spaces and all: what it says, where it begins and where it ends, s. Joined they are
`text`. `score` is the mean natural log-probability of a frame: near 0 where the recording says the text.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcli.errors import DataError

HELP = "`vox align MODEL --out FILE` writes one"


@dataclass(frozen=True, slots=True)
class Token:
    """A part of the text, and where it is spoken."""

    text: str
    start: float
    end: float
    """s"""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the text of one utterance is spoken."""

    id: str
    text: str
    tokens: tuple[Token, ...]
    score: float
    """Mean natural log-probability of a frame."""

    def line(self) -> str:
        """As it stands in the file, without the end of the line."""
        tokens = [[one.text, round(one.start, 3), round(one.end, 3)] for one in self.tokens]
        row = {"id": self.id, "text": self.text, "score": round(self.score, 3), "tokens": tokens}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def read(path: Path) -> dict[str, Alignment]:
    """Utterance id -> its alignment; the last one where an id comes twice. Raises `DataError`, which names the line."""
    found = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    one = _parsed(line, f"{path}, line {number}")
                    found[one.id] = one
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as alignments: {error}", help=HELP) from error
    if not found:
        raise DataError(f"{path} holds no alignments", help=HELP)
    return found


def _parsed(line: str, where: str) -> Alignment:
    try:
        row: Mapping[str, Any] = json.loads(line)
        tokens = tuple(Token(str(text), float(start), float(end)) for text, start, end in row["tokens"])
        one = Alignment(str(row["id"]), str(row["text"]), tokens, float(row["score"]))
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{where} is no alignment ({type(error).__name__}: {error})", help=HELP) from error
    if not tokens or "".join(token.text for token in tokens) != one.text:
        raise DataError(f"{where}: the tokens do not say the text {one.text!r}", help=HELP)
    if any(token.end < token.start for token in tokens) or any(
        late.start < early.start for early, late in itertools.pairwise(tokens)
    ):
        raise DataError(f"{where}: the times run backwards", help=HELP)
    return one
