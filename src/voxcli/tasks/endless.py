"""Tokens that a decoder writes -> whether it goes round in circles, so that it need not write them to the end.

A decoder that has not learned to stop, or that hears nothing, repeats a few tokens until its positions are used up: one
such clip makes its whole batch wait for several hundred steps. Speech repeats itself too, but not like this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import StoppingCriteriaList

TAIL = 48
"""Tokens at the end of a text that have to be one circle: some ten seconds of speech."""
LONGEST = 12
"""Tokens of the circle, at most: it was gone round four times then."""
EVERY = 8  # steps between two looks


def stopping() -> StoppingCriteriaList:
    """What `generate` takes: each row is stopped whose newest TAIL tokens go round in a circle."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    class GoesRound(StoppingCriteria):
        def __call__(self, input_ids: torch.LongTensor, scores: object, **kwargs: object) -> torch.BoolTensor:
            return done(input_ids)  # type: ignore[return-value]

    return StoppingCriteriaList([GoesRound()])


def done(tokens: torch.Tensor) -> torch.Tensor:
    """Which rows of tokens (B, L), the prompt included, need not go on; bool (B,). Looks at every EVERY-th step."""
    import torch

    if tokens.shape[1] < TAIL or tokens.shape[1] % EVERY:
        return torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    return goes_round(tokens[:, -TAIL:])


def goes_round(tokens: torch.Tensor) -> torch.Tensor:
    """Which rows of tokens (B, L) are one circle of at most LONGEST tokens; bool (B,)."""
    import torch

    found = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    for size in range(1, LONGEST + 1):
        found |= (tokens[:, size:] == tokens[:, :-size]).all(dim=1)
    return found
