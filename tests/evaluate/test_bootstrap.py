"""The interval against a case whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.evaluate.bootstrap import difference, interval


def test_one_word_utterances_follow_the_binomial() -> None:
    # 400 utterances of one word, a quarter of them wrong: the bootstrap rate is binomial(400, 0.25) / 400,
    # whose standard deviation is sqrt(0.25 * 0.75 / 400) = 0.02165
    errors = np.array([1] * 100 + [0] * 300)
    low, high = interval(errors, np.ones(400, int), resamples=20_000)
    assert low == pytest.approx(0.25 - 1.96 * 0.02165, abs=0.004)
    assert high == pytest.approx(0.25 + 1.96 * 0.02165, abs=0.004)


def test_it_equals_drawing_utterances_one_by_one() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 30, 200)
    errors = rng.binomial(lengths, 0.2)
    drawn = rng.integers(0, 200, (5000, 200))
    slow = np.quantile(errors[drawn].sum(1) / lengths[drawn].sum(1), [0.025, 0.975])
    assert interval(errors, lengths, resamples=5000) == pytest.approx(slow, abs=0.004)


def test_the_seed_decides_it() -> None:
    errors, lengths = np.arange(50) % 4, np.full(50, 7)
    assert interval(errors, lengths, seed=3) == interval(errors, lengths, seed=3)
    assert interval(errors, lengths, seed=3) != interval(errors, lengths, seed=4)


def test_equal_utterances_have_no_spread() -> None:
    assert interval(np.full(9, 1), np.full(9, 4)) == (0.25, 0.25)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_utterances_have_no_interval(n: int) -> None:
    assert interval(np.zeros(n, int), np.ones(n, int)) is None


def test_references_without_a_word_have_no_interval() -> None:
    assert interval(np.array([2, 0, 1]), np.zeros(3, int)) is None
    # one word in ten utterances: draws without it have no rate and must not become infinite
    low, high = interval(np.array([1] + [0] * 9), np.array([1] + [0] * 9))
    assert (low, high) == (1.0, 1.0)


def test_a_small_gain_on_every_utterance_is_sure_though_the_rates_overlap() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.integers(5, 30, 100)
    before = np.minimum(rng.integers(1, 20, 100), lengths)
    after = before - 1  # one error less in each
    got = difference(before, after, lengths)
    assert got.value == pytest.approx(-100 / lengths.sum())
    assert got.interval[0] < got.value < got.interval[1] < 0
    assert got.better == 1.0
    low_before, high_after = interval(before, lengths)[0], interval(after, lengths)[1]
    assert high_after > low_before


def test_no_difference_is_no_gain() -> None:
    errors = np.array([1, 2, 3, 0])
    got = difference(errors, errors, np.full(4, 5))
    assert (got.value, got.interval, got.better) == (0.0, (0.0, 0.0), 0.0)
    assert difference(errors[:1], errors[:1], errors[:1]) is None
