"""The caching allocator's rules, each on a few allocations whose outcome follows from its source."""

from __future__ import annotations

import random

import pytest

from voxcli.memory.allocator import (
    LARGE_SEGMENT,
    MIB,
    SMALL_SEGMENT,
    Event,
    OutOfMemory,
    allocated,
    reserved,
    rounded,
    smallest_capacity,
)


def test_sizes_are_rounded_to_512_bytes() -> None:
    assert [rounded(size) for size in (0, 1, 512, 513)] == [0, 512, 512, 1024]
    assert allocated([("a", 1), ("b", 513), ("a", -1), ("c", 512)]) == 1536


def test_small_things_share_segments_of_2_mib() -> None:
    assert reserved([(i, 512) for i in range(4096)]) == SMALL_SEGMENT
    assert reserved([(i, 512) for i in range(4097)]) == 2 * SMALL_SEGMENT
    assert reserved([("a", MIB), ("b", MIB), ("c", 1)]) == 2 * SMALL_SEGMENT


def test_middle_sizes_share_segments_of_20_mib() -> None:
    assert reserved([("a", MIB + 1)]) == LARGE_SEGMENT
    assert reserved([("a", 9 * MIB), ("b", 9 * MIB)]) == LARGE_SEGMENT
    assert reserved([("a", 9 * MIB), ("b", 9 * MIB), ("c", 9 * MIB)]) == 2 * LARGE_SEGMENT


def test_large_sizes_have_their_own_segment_rounded_to_2_mib() -> None:
    assert reserved([("a", 10 * MIB)]) == 10 * MIB
    assert reserved([("a", 31 * MIB)]) == 32 * MIB


def test_the_smallest_block_that_fits_is_taken_again() -> None:
    first: list[Event] = [("a", 64 * MIB), ("b", 32 * MIB), ("a", 0), ("b", 0)]
    # 30 MiB go into the block of 32, so that 64 still fit into the other
    assert reserved([*first, ("c", 30 * MIB), ("d", 64 * MIB)]) == 96 * MIB
    # 60 MiB leave 4 of the 64 over, which hold 3 more
    assert reserved([*first, ("c", 60 * MIB), ("d", 3 * MIB), ("e", 32 * MIB)]) == 96 * MIB
    # what remains of a block is only used where it is larger than 1 MiB
    assert reserved([*first, ("c", 63 * MIB), ("d", 32 * MIB), ("e", MIB + 512)]) == 96 * MIB + LARGE_SEGMENT


def test_neighbours_that_are_free_become_one_again() -> None:
    halves: list[Event] = [("a", 64 * MIB), ("a", 0), ("b", 32 * MIB), ("c", 32 * MIB)]
    assert reserved([*halves, ("b", 0), ("c", 0), ("d", 64 * MIB)]) == 64 * MIB
    assert reserved([*halves, ("c", 0), ("b", 0), ("d", 64 * MIB)]) == 64 * MIB
    assert reserved([*halves, ("b", 0), ("d", 40 * MIB)]) == 104 * MIB


def test_what_is_cached_is_given_back_before_memory_runs_out() -> None:
    growing: list[Event] = [("a", 50 * MIB), ("a", 0), ("b", 60 * MIB), ("b", 0), ("c", 70 * MIB)]
    assert reserved(growing) == 180 * MIB
    assert reserved(growing, capacity=100 * MIB) == 70 * MIB
    assert smallest_capacity(growing) == 70 * MIB
    with pytest.raises(OutOfMemory):
        reserved(growing, capacity=69 * MIB)


def test_a_segment_that_is_partly_used_stays() -> None:
    events: list[Event] = [("a", 64 * MIB), ("a", 0), ("b", 4 * MIB), ("c", 80 * MIB)]
    assert reserved(events, capacity=150 * MIB) == 144 * MIB
    with pytest.raises(OutOfMemory):
        reserved(events, capacity=140 * MIB)
    assert smallest_capacity(events) > allocated(events) + 50 * MIB


def test_expandable_segments_grow_instead() -> None:
    growing: list[Event] = [("a", 50 * MIB), ("a", 0), ("b", 60 * MIB), ("b", 0), ("c", 70 * MIB)]
    assert reserved(growing, expandable=True) == 80 * MIB  # whole pages of 20 MiB
    assert reserved([("a", 1)], expandable=True) == SMALL_SEGMENT
    # the page that "b" holds stays, its neighbours return to the device
    holes: list[Event] = [("a", 60 * MIB), ("b", 20 * MIB), ("c", 60 * MIB), ("a", 0), ("c", 0), ("d", 120 * MIB)]
    assert reserved(holes, expandable=True) == 200 * MIB  # "d" grows out of the free block at the end
    assert reserved(holes, expandable=True, capacity=160 * MIB) == 140 * MIB
    with pytest.raises(OutOfMemory):
        reserved(holes, expandable=True, capacity=120 * MIB)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("expandable", [False, True])
def test_nothing_is_lost_or_handed_out_twice(seed: int, expandable: bool) -> None:
    """A random life: reserved covers allocated, capacities in between work, and less than allocated never does."""
    rng = random.Random(seed)
    alive: list[int] = []
    events: list[Event] = []
    for number in range(600):
        if alive and rng.random() < 0.48:
            events.append((alive.pop(rng.randrange(len(alive))), 0))
        else:
            events.append((number, int(2 ** rng.uniform(5, 26))))
            alive.append(number)
    least = allocated(events)
    free_run = reserved(events, expandable=expandable)
    tight = smallest_capacity(events, expandable=expandable)
    assert least <= tight <= free_run
    assert reserved(events, expandable=expandable, capacity=tight) <= tight
    with pytest.raises(OutOfMemory):
        reserved(events, expandable=expandable, capacity=least - 512)
    # when everything has gone, all of it can be had in one piece
    whole = tight // LARGE_SEGMENT * LARGE_SEGMENT
    emptied = [*events, *((number, 0) for number in alive), ("whole", whole)]
    assert whole <= reserved(emptied, expandable=expandable, capacity=tight) <= tight
