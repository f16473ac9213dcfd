"""A text whose model is known from KenLM's own lmplz, and frames that spell what one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voxcli.api import Alphabet

TEXT = """
the cat sat on the mat
the cat ate the rat
a rat sat on a mat
the dog ate a bone
the dog sat by the door
a cat and a dog sat on the mat
the bone was by the door
the rat ran from the cat
the cat ran from the dog
a dog and a cat ate
the door was by the mat
who sat on the mat
who ate the bone
the cat sat
the dog sat
a mat was on the mat
the cat saw a bird
"""
SENTENCES = [line.split() for line in TEXT.strip().splitlines()]

LETTERS = " abcdefghijklmnopqrstuvwxyz'"
ALPHABET = Alphabet(("", *LETTERS), 0)


def frames(*columns: str | Mapping[str, float]) -> np.ndarray:
    """Log-probabilities (2 T, V): a character is certain in its frame, a table shares its frame; a blank after each."""
    rows = []
    for column in columns:
        shares = {column: 0.98} if isinstance(column, str) else dict(column)
        for some in (shares, {"": 0.98}):
            row = np.full(len(ALPHABET.tokens), (1 - sum(some.values())) / (len(ALPHABET.tokens) - len(some)))
            for character, share in some.items():
                row[ALPHABET.tokens.index(character)] = share
            rows.append(row)
    return np.log(np.array(rows, np.float32))


def text_of(tokens: Sequence[int]) -> str:
    return "".join(ALPHABET.tokens[token] for token in tokens)
