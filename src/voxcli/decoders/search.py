"""Prefix beam search for CTC (Graves and Jaitly 2014; Hannun et al. 2014, arXiv 1408.2873), with room for a scorer.

A prefix is a sequence of tokens without blanks. Of each the search keeps two sums over all alignments so far: those
that end in a blank, and those that end in its last token. Frame by frame every kept prefix stays as it is or grows by
one token, and the best `beam_width` are kept. With a beam that holds everything the sums are exact.

What a scorer says of a prefix (a language model, hot words) is added for ranking only; it never enters the sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from voxcli.alphabet import Alphabet, Emission
from voxcli.api import Finding
from voxcli.decoders.alignment import Span, aligned

if TYPE_CHECKING:
    import numpy as np

BEAM_THRESHOLD = 10.0
"""Natural logarithm: a text is given up where another is e^10 = 22,000 times as probable."""
TOKEN_THRESHOLD = -6.0
"""Natural logarithm: 0.25 %. Below it a token in a frame is noise of the softmax, and trying all costs most. The most
probable class is always tried."""
_NEVER = -math.inf


class State(Protocol):
    """What a scorer knows of one prefix."""

    score: float
    """Natural logarithm, of the whole prefix so far."""


class Scorer(Protocol):
    """Ranks prefixes by what they say: pure functions, so that a state may be extended in several ways."""

    def start(self) -> State:
        """The empty prefix."""
        ...

    def extend(self, state: Any, text: str) -> State:
        """The prefix with the text of one more token, which may hold spaces; `text` is never empty."""
        ...

    def finish(self, state: Any) -> float:
        """The score where the recording ends here."""
        ...


class _Silent:
    """The scorer of a search without one."""

    score = 0.0

    def start(self) -> State:
        return self

    def extend(self, state: Any, text: str) -> State:
        return self

    def finish(self, state: Any) -> float:
        return 0.0


class _Prefix:
    """A node of the tree of prefixes."""

    __slots__ = (
        "blank", "children", "first", "last", "new_blank", "new_token", "parent", "rank", "state", "token",
        "touched", "voiced",
    )  # fmt: skip

    def __init__(self, parent: _Prefix | None, token: int, state: State, first: int) -> None:
        self.parent = parent
        self.token = token
        self.state = state
        self.children: dict[int, _Prefix] = {}
        self.blank = self.voiced = self.new_blank = self.new_token = _NEVER
        self.rank = _NEVER
        self.touched = -1  # the frame of `new_blank` and `new_token`
        self.first = first  # frames in which it was followed: from, to
        self.last = -1


def search(
    log_probabilities: np.ndarray,
    alphabet: Alphabet,
    *,
    beam_width: int,
    beam_threshold: float = BEAM_THRESHOLD,
    token_threshold: float = TOKEN_THRESHOLD,
    scorer: Scorer | None = None,
) -> list[Emission]:
    """The tokens of the best prefix, each with the frames of its most probable alignment.

    Args:
        log_probabilities: (T, V) float32, natural logarithm
        beam_width: how many prefixes are followed
        beam_threshold, token_threshold: see `BEAM_THRESHOLD`, `TOKEN_THRESHOLD`
        scorer: what is added to the rank of a prefix; None: nothing
    """
    judge: Scorer = scorer or _Silent()
    root = _Prefix(None, -1, judge.start(), -1)
    root.blank = 0.0
    beam = [root]
    blanks = log_probabilities[:, alphabet.blank].tolist()
    for frame, tokens in enumerate(_candidates(log_probabilities, alphabet, token_threshold)):
        beam = _step(beam, frame, blanks[frame], tokens, alphabet.tokens, judge, beam_width, beam_threshold)
    best = max(beam, key=lambda one: _add(one.blank, one.voiced) + judge.finish(one.state))
    return aligned(log_probabilities, alphabet.blank, _spans(best))


def _step(
    beam: list[_Prefix],
    frame: int,
    blank: float,
    tokens: list[tuple[int, float]],
    texts: tuple[str, ...],
    scorer: Scorer,
    beam_width: int,
    beam_threshold: float,
) -> list[_Prefix]:
    """One frame: every prefix that can come out of it, the best of them."""
    grown: list[_Prefix] = []
    for one in beam:
        total = _add(one.blank, one.voiced)
        if one.touched != frame:
            one.touched, one.new_blank, one.new_token = frame, _NEVER, _NEVER
            grown.append(one)
        one.new_blank = total + blank  # the same prefix comes here once
        for token, certain in tokens:
            if token == one.token:
                one.new_token = _add(one.new_token, one.voiced + certain)
                mass = one.blank + certain  # the token again needs a blank between
                if mass == _NEVER:
                    continue
            else:
                mass = total + certain
            child = one.children.get(token)
            if child is None:
                child = _Prefix(one, token, scorer.extend(one.state, texts[token]), frame)
                one.children[token] = child
            if child.touched != frame:
                child.touched, child.new_blank, child.new_token = frame, _NEVER, _NEVER
                grown.append(child)
            child.new_token = _add(child.new_token, mass)
    for one in grown:
        one.blank, one.voiced = one.new_blank, one.new_token
        one.rank = _add(one.blank, one.voiced) + one.state.score
    grown.sort(key=_RANK, reverse=True)
    least = grown[0].rank - beam_threshold
    kept = [one for one in grown[:beam_width] if one.rank >= least]
    for one in kept:
        one.last = frame
    for one in grown[len(kept) :]:
        one.blank = one.voiced = _NEVER  # given up: what comes back begins anew
        _forget(one, frame)
    return kept


def _forget(one: _Prefix, frame: int) -> None:
    """Take prefixes that nothing grows from any more out of the tree: it stays as large as the beam."""
    while one.parent is not None and one.last != frame and not one.children:
        one.parent.children.pop(one.token, None)
        one = one.parent


_RANK = attrgetter("rank")


def _add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    difference = other - one
    return one if not difference > -40.0 else one + math.log1p(math.exp(difference))


def _candidates(
    log_probabilities: np.ndarray, alphabet: Alphabet, threshold: float
) -> Iterator[list[tuple[int, float]]]:
    """For each frame the tokens worth trying, with their log-probabilities."""
    import numpy as np

    writes = np.array([bool(text) for text in alphabet.tokens])
    writes[alphabet.blank] = False
    if not writes.any():
        raise ValueError("the alphabet has no token that writes anything")
    only = np.where(writes, log_probabilities, -np.inf)
    chosen = only >= threshold
    best = only.argmax(-1)
    rows = np.flatnonzero(only[np.arange(len(only)), best] > log_probabilities[:, alphabet.blank])
    chosen[rows, best[rows]] = True
    for frame, row in enumerate(chosen):
        tokens = np.flatnonzero(row)
        yield list(zip(tokens.tolist(), only[frame, tokens].tolist(), strict=True))


def _spans(prefix: _Prefix) -> list[Span]:
    """The tokens of a prefix in order, each with the frames in which the search followed it."""
    found = []
    at: _Prefix | None = prefix
    while at is not None and at.parent is not None:
        found.append(Span(at.token, at.first, at.last))
        at = at.parent
    return found[::-1]


def findings(beam_width: int, beam_threshold: float, token_threshold: float) -> Iterator[Finding]:
    """What is wrong with the keys of a search, for the `findings` of a decoder."""
    if beam_width < 1:
        yield Finding("error", f"beam_width is {beam_width}, expected at least 1", None, path=("beam_width",))
    if beam_threshold <= 0:
        yield Finding(
            "error", f"beam_threshold is {beam_threshold}, expected more than 0", None, path=("beam_threshold",)
        )
    if token_threshold >= 0:
        message = f"token_threshold is {token_threshold}, expected less than 0: it is a logarithm"
        yield Finding("error", message, None, path=("token_threshold",))
