"""Batches by duration: the budget, the padding, the order, the share of each process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from voxcli.augment.speed import Speed
from voxcli.data import cutting
from voxcli.data.batches import MAX_PADDING, DurationBatches, by_duration, lengthened, padding_share
from voxcli.errors import DataError


def speech(count, seed=0):
    """Durations as speech corpora have them: many short, few long."""
    return np.random.default_rng(seed).gamma(2.5, 1.5, count).clip(0.4, 40.0).astype(np.float32)


@pytest.mark.parametrize("sorted_first", [True, False])
@pytest.mark.parametrize("budget", [float("inf"), 300.0, 5.0, 0.3])
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_a_batch_takes_what_the_budget_takes(sorted_first, budget, most, monkeypatch):
    """Clip after clip, whatever the longest of them is, and wherever a block of clips ends."""
    monkeypatch.setattr(cutting, "_LISTED", 64)
    for seed in range(20):
        durations = speech(seed * 17, seed).astype(np.float64)
        if sorted_first:
            durations = np.sort(durations) * np.exp(np.random.default_rng(seed).uniform(-0.02, 0.02, len(durations)))
        cuts, first = cutting.fill(durations, budget, most, first=0.7).tolist(), True
        assert (cuts[0], cuts[-1]) == (0, len(durations))
        for begin, end in itertools.pairwise(cuts):
            limit, first = budget * (0.7 if first else 1.0) + cutting.SLACK, False
            assert end - begin == 1 or (end - begin) * durations[begin:end].max() <= limit
            assert end - begin <= most
            more = durations[begin : end + 1]
            assert end == len(durations) or len(more) > most or len(more) * more.max() > limit


def seconds(durations, batches):
    return [len(batch) * float(durations[batch].max()) for batch in batches]


@pytest.mark.parametrize("count", [1, 2, 30, 400, 3000])
@pytest.mark.parametrize("budget", [20.0, 160.0])
@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.parametrize("grouped", [True, False])
def test_every_row_once_and_no_batch_over_its_budget(count, budget, world, grouped):
    durations = speech(count)
    made = DurationBatches(durations, batch_duration=budget, batch_size=None, seed=1, grouped=grouped)
    for epoch in range(3):
        batches = made.epoch(epoch, world)
        assert len(batches) % world == 0
        if count >= world:
            assert sorted(np.concatenate(batches)) == list(range(count))
        assert all(
            total <= budget + 1e-3
            for batch, total in zip(batches, seconds(durations, batches), strict=True)
            if len(batch) > 1
        )


@pytest.mark.parametrize("count", [60, 400, 3000, 20000])
@pytest.mark.parametrize("budget", [20.0, 80.0, 160.0])
def test_padding_stays_small_and_batches_large(count, budget):
    durations = speech(count)
    made = DurationBatches(durations, batch_duration=budget, batch_size=None, seed=1)
    for epoch in range(3):
        assert made.padding_share(epoch) <= MAX_PADDING
    shuffled = np.array_split(np.random.default_rng(0).permutation(count), len(made.epoch(0)))
    assert padding_share(durations, shuffled) > 5 * made.padding_share(0)
    if count == 20000 and budget >= 80.0:  # many clips: nothing stands in the way of full batches
        assert np.median(seconds(durations, made.epoch(0))) > 0.95 * budget


def test_batches_of_any_length_hold_any_length():
    """Where length says something of the class, a batch of one length would hold few classes."""
    durations = speech(3000)
    spreads = [
        np.mean([np.ptp(durations[batch]) for batch in made.epoch(0)])
        for made in (
            DurationBatches(durations, batch_duration=None, batch_size=32, seed=0, grouped=grouped)
            for grouped in (True, False)
        )
    ]
    assert spreads[1] > 10 * spreads[0]


def test_more_padding_buys_larger_batches():
    durations = speech(400)
    counts = [
        len(DurationBatches(durations, batch_duration=160.0, batch_size=None, seed=0, max_padding=share).epoch(0))
        for share in (0.02, 0.05, 0.1, 1.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0] / 2


def test_seed_and_epoch_decide():
    durations = speech(500)
    one, same, other = (DurationBatches(durations, batch_duration=60.0, batch_size=None, seed=s) for s in (1, 1, 2))
    for epoch in range(3):
        for a, b in zip(one.epoch(epoch), same.epoch(epoch), strict=True):
            assert np.array_equal(a, b)
    sets = [
        {frozenset(batch.tolist()) for batch in batches} for batches in (one.epoch(0), one.epoch(1), other.epoch(0))
    ]
    assert len(sets[0] & sets[1]) < len(sets[0]) / 2  # other neighbours, not only another order
    assert sets[0] != sets[2]


def test_the_order_is_random():
    durations = speech(3000)
    longest = [
        durations[batch].max()
        for batch in DurationBatches(durations, batch_duration=30.0, batch_size=None, seed=0).epoch(0)
    ]
    assert abs(np.corrcoef(np.arange(len(longest)), longest)[0, 1]) < 0.2


def test_a_longer_clip_stands_alone():
    durations = np.array([1.0, 90.0, 1.0], dtype=np.float32)
    batches = DurationBatches(durations, batch_duration=20.0, batch_size=None, seed=0).epoch(0)
    assert sorted(map(len, batches)) == [1, 2]


@pytest.mark.parametrize(("count", "size"), [(10, 4), (12, 4), (3, 8), (1, 1), (17, 2)])
def test_batch_size(count, size):
    made = DurationBatches(speech(count), batch_duration=None, batch_size=size, seed=0)
    for epoch in range(5):
        batches = made.epoch(epoch)
        assert sorted(np.concatenate(batches)) == list(range(count))
        sizes = sorted(map(len, batches), reverse=True)
        assert sizes == [size] * (count // size) + ([count % size] if count % size else [])


def test_both_limits_hold():
    durations = speech(500)
    batches = DurationBatches(durations, batch_duration=30.0, batch_size=5, seed=0).epoch(0)
    assert max(map(len, batches)) == 5
    assert max(seconds(durations, [b for b in batches if len(b) > 1])) <= 30.0 + 1e-3


@pytest.mark.parametrize("world", [2, 4])
def test_processes_get_an_even_share(world):
    durations = speech(1000)
    made = DurationBatches(durations, batch_duration=40.0, batch_size=None, seed=0)
    batches = made.epoch(0, world)
    assert len(batches) - len(made.epoch(0)) < world
    gaps = []
    for step in range(0, len(batches), world):
        longest = [durations[batch].max() for batch in batches[step : step + world]]
        gaps.append(max(longest) - min(longest))
    assert np.median(gaps) < 0.5  # s; of two batches drawn at random it is more than 2
    assert {len(batches[rank::world]) for rank in range(world)} == {len(batches) // world}


def test_fewer_rows_than_processes_repeat():
    batches = DurationBatches([1.0, 2.0], batch_duration=10.0, batch_size=None, seed=0).epoch(0, world=4)
    assert len(batches) == 4
    assert {int(row) for batch in batches for row in batch} == {0, 1}


def test_nothing_to_batch():
    assert DurationBatches([], batch_duration=10.0, batch_size=None, seed=0).epoch(0, world=2) == []
    assert by_duration([], batch_duration=10.0) == []


def test_refusals():
    with pytest.raises(DataError, match="no known duration"):
        DurationBatches([1.0, float("nan")], batch_duration=10.0, batch_size=None, seed=0)
    with pytest.raises(DataError, match="need a size"):
        DurationBatches([1.0], batch_duration=None, batch_size=None, seed=0)
    with pytest.raises(DataError, match="cannot hold"):
        DurationBatches([1.0], batch_duration=0.0, batch_size=None, seed=0)


def test_for_evaluation_the_longest_come_first():
    durations = speech(300)
    batches = by_duration(durations, batch_duration=60.0)
    assert sorted(np.concatenate(batches)) == list(range(300))
    longest = [durations[batch].max() for batch in batches]
    assert longest == sorted(longest, reverse=True)
    some = by_duration(durations, batch_duration=60.0, rows=np.array([5, 7, 250]))
    assert sorted(np.concatenate(some)) == [5, 7, 250]


def test_room_for_augmentation():
    assert lengthened([1.0, 9.0], [Speed(factors=(0.9, 1.1))]) == pytest.approx([1 / 0.9, 10.0])
    assert lengthened([1.0], [Speed(factors=(0.5,), p=0.0)]) == pytest.approx([1.0])


def test_a_model_that_pads_to_its_window_gets_batches_of_windows():
    """Whisper at 30 s: 160 s of audio are 5 clips, however short they are, and the padding is said."""
    batches = DurationBatches(
        np.full(40, 2.0), batch_duration=160.0, batch_size=None, seed=0, padded=lambda duration: 30.0
    )
    assert max(len(batch) for batch in batches.epoch(0)) == 5
    assert batches.padding_share(0) == pytest.approx(28 / 30)


def test_an_epoch_that_is_asked_for_again_is_not_computed_again():
    batches = DurationBatches(np.linspace(1.0, 9.0, 50), batch_duration=30.0, batch_size=None, seed=0)
    first = batches.epoch(0)
    assert batches.epoch(0) is first
    assert [list(rows) for rows in batches.epoch(0, world=2)] != [list(rows) for rows in first]
    assert [list(rows) for rows in batches.epoch(0)] == [list(rows) for rows in first]
