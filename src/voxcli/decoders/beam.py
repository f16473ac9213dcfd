"""The most probable *text* rather than the most probable frames: prefix beam search without a language model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voxcli.alphabet import Alphabet, Emission
from voxcli.api import Finding, config
from voxcli.decoders.search import BEAM_THRESHOLD, TOKEN_THRESHOLD, findings, search

if TYPE_CHECKING:
    import numpy as np


@config
class Beam:
    """Prefix beam search: adds up all ways in which the frames can spell a text. Slower than greedy, rarely much
    better: what gains is a language model (the plugin vox-lm)."""

    beam_width: int = 50
    """Texts that are followed at a time. More is slower, and seldom better beyond 100."""
    beam_threshold: float = BEAM_THRESHOLD
    """Texts this much below the best (natural logarithm) are given up."""
    token_threshold: float = TOKEN_THRESHOLD
    """Tokens whose log-probability in a frame is below it are not tried there; the most probable class always is."""

    def findings(self) -> Iterator[Finding]:
        """Keys that leave nothing to follow."""
        yield from findings(self.beam_width, self.beam_threshold, self.token_threshold)

    def decode(self, log_probabilities: np.ndarray, alphabet: Alphabet) -> list[Emission]:
        """Log-probabilities (T, V) -> the tokens of the most probable text."""
        return search(
            log_probabilities,
            alphabet,
            beam_width=self.beam_width,
            beam_threshold=self.beam_threshold,
            token_threshold=self.token_threshold,
        )
