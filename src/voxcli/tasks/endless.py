"""Tokens that a decoder writes -> whether it goes round in circles, so that it need not write them to the end.

A decoder that has not learned to stop, or that hears nothing, repeats a few tokens until its positions are used up: one
such clip makes its whole batch wait for several hundred steps. Speech repeats itself too, but not like this.
"""

from __future__ import annotations

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

TAIL = 48
"""Tokens at the end of a text that have to be one circle: some ten seconds of speech."""
LONGEST = 12
"""Tokens of the circle, at most: it was gone round four times then."""
EVERY = 8  # steps between two looks


def stopping() -> StoppingCriteriaList:
    """What `generate` takes."""
    return StoppingCriteriaList([GoesRound()])


class GoesRound(StoppingCriteria):
    """Stops a row whose newest TAIL tokens repeat their first LONGEST or fewer."""

    def __call__(self, input_ids: torch.LongTensor, scores: object, **kwargs: object) -> torch.BoolTensor:
        """Whether each of B rows is done; `input_ids` (B, L), the prompt included."""
        length = input_ids.shape[1]
        if length < TAIL or length % EVERY:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
        return goes_round(input_ids[:, -TAIL:])  # type: ignore[return-value]


def goes_round(tokens: torch.Tensor) -> torch.Tensor:
    """Which rows of tokens (B, L) are one circle of at most LONGEST tokens; bool (B,)."""
    found = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    for size in range(1, LONGEST + 1):
        found |= (tokens[:, size:] == tokens[:, :-size]).all(dim=1)
    return found
