"""The most probable class of each frame: what a CTC model says without any search."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from voxcli.alphabet import Alphabet, Emission
from voxcli.api import config

if TYPE_CHECKING:
    import numpy as np


@config
class Greedy:
    """The most probable class of each frame, repeats joined, blanks dropped."""

    def decode(self, log_probabilities: np.ndarray, alphabet: Alphabet) -> list[Emission]:
        """Log-probabilities (T, V) -> tokens in order."""
        best = log_probabilities.argmax(-1).tolist()
        found, at = [], 0
        for token, run in itertools.groupby(best):
            end = at + len(list(run))
            if alphabet.tokens[token]:
                certain = float(log_probabilities[at:end, token].mean())
                found.append(Emission(token, at, end, min(1.0, 2.718281828459045**certain)))
            at = end
        return found
