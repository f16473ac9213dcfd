"""What the classes of a CTC model stand for, and a token that was read out of its frames."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The classes of a CTC model as text."""

    tokens: tuple[str, ...]
    """The text of each class, V of them. A space stands between words, alone or as part of a token; "" writes nothing:
    the blank and tokens such as <unk>."""
    blank: int
    """The class that says nothing."""

    @property
    def characters(self) -> frozenset[str]:
        """Every character that can be written, without the space."""
        return frozenset("".join(self.tokens)) - {" "}


@dataclass(frozen=True, slots=True)
class Emission:
    """One token and the frames that carry it, [start, end)."""

    token: int
    start: int
    end: int
    probability: float
    """Mean of its probability in these frames."""
