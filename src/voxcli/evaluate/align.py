"""One reference and one hypothesis -> counts and the alignment behind them, in words or characters.

jiwer finds the alignment with the fewest errors (Levenshtein), once an utterance: rates, breakdowns and confusions are
all sums over it, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jiwer

Kind = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What an alignment holds. Added up over utterances before they are divided: the rate of a corpus, not a mean."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def length(self) -> int:
        """Words or characters of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float | None:
        """Errors per reference unit, above 1 where much is inserted; None where the reference is empty.

        An empty reference is not skipped: what is inserted there counts in the total that it is added to.
        """
        return self.errors / self.length if self.length else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    def as_json(self) -> dict[str, int]:
        """The four numbers by name."""
        return {
            "hits": self.hits,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
        }


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of an alignment: the same kind of edit over consecutive words."""

    kind: Kind
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Words and characters of one utterance against its reference."""

    words: Counts
    characters: Counts
    """Spaces count as characters, as in jiwer."""
    chunks: tuple[Chunk, ...]
    """Word by word, in order."""

    def substitutions(self) -> Iterator[tuple[str, str]]:
        """(reference, hypothesis) of each word that was taken for another."""
        for chunk in self.chunks:
            if chunk.kind == "substitute":
                yield from zip(chunk.reference, chunk.hypothesis, strict=True)

    def as_json(self) -> dict[str, Any]:
        """Counts, and the alignment as [kind, reference words, hypothesis words]."""
        return {
            "words": self.words.as_json(),
            "characters": self.characters.as_json(),
            "alignment": [[chunk.kind, " ".join(chunk.reference), " ".join(chunk.hypothesis)] for chunk in self.chunks],
        }


def collapse(text: str) -> str:
    """Runs of white space as one space, none at the ends: what separates words must not count as an error."""
    return " ".join(text.split())


def align(reference: str, hypothesis: str) -> Alignment:
    """Compare a hypothesis with its reference. Either may be empty."""
    reference, hypothesis = collapse(reference), collapse(hypothesis)
    words = jiwer.process_words(reference, hypothesis)
    characters = jiwer.process_characters(reference, hypothesis)
    chunks = tuple(
        Chunk(
            chunk.type,
            tuple(words.references[0][chunk.ref_start_idx : chunk.ref_end_idx]),
            tuple(words.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]),
        )
        for chunk in words.alignments[0]
    )
    return Alignment(_counts(words), _counts(characters), chunks)


def _counts(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Counts:
    return Counts(output.hits, output.substitutions, output.deletions, output.insertions)
