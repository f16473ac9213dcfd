"""The search against all alignments there are, on frames few enough to list them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from voxcli.alphabet import Alphabet, Emission
from voxcli.decoders.greedy import Greedy
from voxcli.decoders.search import search

ALPHABET = Alphabet(("", "a", "b", " "), 0)
EVERYTHING = {"beam_width": 10_000, "beam_threshold": 1e9, "token_threshold": -1e9}


def frames(n_frames: int, seed: int, *, classes: int = 4, contrast: float = 2.0) -> np.ndarray:
    """Log-probabilities (T, V)."""
    drawn = np.random.default_rng(seed).normal(size=(n_frames, classes)) * contrast
    return (drawn - np.log(np.exp(drawn).sum(-1, keepdims=True))).astype(np.float32)


def listed(log_probabilities: np.ndarray) -> dict[tuple[int, ...], tuple[float, float]]:
    """Tokens -> (their probability, that of their best alignment), by every alignment."""
    found: dict[tuple[int, ...], tuple[float, float]] = {}
    for path in itertools.product(range(log_probabilities.shape[1]), repeat=len(log_probabilities)):
        certain = math.exp(sum(float(log_probabilities[frame, token]) for frame, token in enumerate(path)))
        tokens = tuple(token for token, _ in itertools.groupby(path) if token != ALPHABET.blank)
        whole, best = found.get(tokens, (0.0, 0.0))
        found[tokens] = whole + certain, max(best, certain)
    return found


def probability_of(emissions: list[Emission], log_probabilities: np.ndarray) -> float:
    """Of the one alignment that the emissions are."""
    path = [ALPHABET.blank] * len(log_probabilities)
    for one in emissions:
        path[one.start : one.end] = [one.token] * (one.end - one.start)
    return math.exp(sum(float(log_probabilities[frame, token]) for frame, token in enumerate(path)))


@pytest.mark.parametrize("seed", range(40))
def test_a_beam_that_holds_everything_finds_the_most_probable_text_and_where_it_is(seed: int) -> None:
    given = frames(5, seed)
    found = search(given, ALPHABET, **EVERYTHING)
    all_texts = listed(given)
    tokens = tuple(one.token for one in found)
    assert tokens == max(all_texts, key=lambda text: all_texts[text][0])
    assert probability_of(found, given) == pytest.approx(all_texts[tokens][1], rel=1e-4)


def test_it_is_not_what_greedy_says() -> None:
    """Two ways to say "a" outweigh the one way to say nothing, though the blank is the most probable in each frame."""
    given = np.log(np.array([[0.6, 0.4, 1e-9, 1e-9], [0.6, 0.4, 1e-9, 1e-9]], np.float32))
    assert [one.token for one in search(given, ALPHABET, beam_width=5)] == [1]
    assert Greedy().decode(given, ALPHABET) == []


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_a_search_where_the_frames_are_certain(seed: int) -> None:
    given = frames(60, seed, contrast=40.0)
    by_greedy, by_search = Greedy().decode(given, ALPHABET), search(given, ALPHABET, beam_width=10)
    assert [(one.token, one.start, one.end) for one in by_greedy] == [
        (one.token, one.start, one.end) for one in by_search
    ]
    assert [one.probability for one in by_search] == pytest.approx([one.probability for one in by_greedy])


@pytest.mark.parametrize("beam_width", [1, 3, 20])
def test_a_long_recording_with_a_narrow_beam_has_an_alignment(beam_width: int) -> None:
    given = frames(1500, beam_width, classes=6, contrast=1.5)
    alphabet = Alphabet(("", "a", "b", "c", " ", "d"), 0)
    found = search(given, alphabet, beam_width=beam_width)
    assert len(found) > 200
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(
        one.end < other.start for one, other in itertools.pairwise(found) if one.token == other.token
    )  # a blank between


def test_nothing_is_written_for_silence_or_for_no_frames() -> None:
    silent = np.log(np.array([[0.97, 0.01, 0.01, 0.01]] * 20, np.float32))
    assert search(silent, ALPHABET, beam_width=10) == []
    assert search(np.zeros((0, 4), np.float32), ALPHABET, beam_width=10) == []


def test_a_scorer_changes_the_rank_and_not_the_sums() -> None:
    class NoB:
        """-5 for each b, +1 where the text ends in a."""

        def __init__(self, text: str = "") -> None:
            self.text = text
            self.score = -5.0 * text.count("b")

        def start(self) -> NoB:
            return NoB()

        def extend(self, state: NoB, text: str) -> NoB:
            return NoB(state.text + text)

        def finish(self, state: NoB) -> float:
            return state.score + (1.0 if state.text.endswith("a") else 0.0)

    for seed in range(10):
        given = frames(5, seed)
        texts = listed(given)

        def ranked(tokens: tuple[int, ...], texts: dict = texts) -> float:
            text = "".join(ALPHABET.tokens[token] for token in tokens)
            return math.log(texts[tokens][0]) - 5.0 * text.count("b") + (1.0 if text.endswith("a") else 0.0)

        found = search(given, ALPHABET, scorer=NoB(), **EVERYTHING)
        assert tuple(one.token for one in found) == max(texts, key=ranked)
