"""Work that runs out of memory, in halves."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from voxcli.engines.ceiling import Ceiling, Size
from voxcli.engines.halving import Halving, forget, is_out_of_memory, release


class Work:
    """Doubles numbers, at most `most` of them at once, and none over `largest`."""

    def __init__(self, most: int, largest: int = 10**6) -> None:
        self.most, self.largest = most, largest
        self.sizes: list[int] = []

    def __call__(self, clips: list[int]) -> list[int]:
        self.sizes.append(len(clips))
        if len(clips) > self.most or max(clips) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmore")
        return [2 * clip for clip in clips]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 10])
def test_every_result_once_and_in_order(most: int) -> None:
    assert Halving(Work(most))(list(range(10)), [1.0] * 10) == [2 * n for n in range(10)]


def test_what_failed_is_not_tried_again() -> None:
    work = Work(3)
    halving = Halving(work)
    halving(list(range(8)), [1.0] * 8)
    assert work.sizes == [8, 4, 2, 2, 2, 2]
    work.sizes.clear()
    halving(list(range(8)), [1.0] * 8)
    assert work.sizes == [2, 2, 2, 2]
    work.sizes.clear()
    halving(list(range(8)), [0.4] * 8)  # 3.2 s instead of 8 s: may fit
    assert work.sizes[0] == 8


def test_a_clip_that_does_not_fit_alone_is_none() -> None:
    told: list[tuple[Size, str, bool]] = []
    halving = Halving(Work(10, largest=5), told=lambda *one: told.append(one))
    assert halving([1, 9, 3], [1.0, 5.0, 1.0]) == [2, None, 6]
    assert [(size.n_utterances, cut) for size, _, cut in told] == [(3, True), (2, True), (1, False)]
    assert told[0][1] == "CUDA out of memory. Tried to allocate 9 GiB"


def test_nothing_to_do() -> None:
    assert Halving(Work(1))([], []) == []


def test_other_errors_stay_what_they_are() -> None:
    def broken(clips: list[int]) -> list[int]:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        Halving(broken)([1, 2], [1.0, 1.0])


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried 9"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_out_of_memory_is_told_apart(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor for a convolution"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_an_error_that_is_kept_keeps_no_tensor() -> None:
    """The graph and the activations of a failed pass would otherwise stay until the next one has been paid for."""
    alive: list[weakref.ref[torch.Tensor]] = []

    def inner() -> None:
        held = torch.zeros(10)
        alive.append(weakref.ref(held))
        raise torch.OutOfMemoryError("first")

    def outer() -> None:
        also = torch.zeros(10)
        alive.append(weakref.ref(also))
        try:
            inner()
        except torch.OutOfMemoryError as error:
            raise RuntimeError("out of memory") from error

    kept = None
    try:
        outer()
    except RuntimeError as error:
        kept = error
    gc.collect()
    assert [one() is None for one in alive] == [False, False]
    forget(kept)
    release()
    assert [one() is None for one in alive] == [True, True]


class TestCeiling:
    def test_a_batch_as_large_as_one_that_failed(self) -> None:
        ceiling = Ceiling()
        ceiling.lower(Size(8, 10.0, 40))
        assert ceiling.reached(Size(8, 10.0, 40))
        assert ceiling.reached(Size(9, 9.5, 30))
        assert not ceiling.reached(Size(7, 10.0, 40))
        assert not ceiling.reached(Size(40, 4.0, 40)), "much shorter clips"
        assert not ceiling.reached(Size(8, 10.0, 10)), "much shorter labels"
        assert not ceiling.reached(Size(1, 100.0, 40)), "one clip cannot be cut"

    def test_it_keeps_only_what_says_more(self) -> None:
        ceiling = Ceiling()
        ceiling.lower(Size(8, 10.0))
        ceiling.lower(Size(4, 10.0))
        assert ceiling.failed == [Size(4, 10.0)]
        ceiling.lower(Size(8, 10.0))
        assert ceiling.failed == [Size(4, 10.0)]
        ceiling.lower(Size(30, 2.0))
        assert len(ceiling.failed) == 2

    def test_one_clip_says_nothing_about_others(self) -> None:
        ceiling = Ceiling()
        ceiling.lower(Size(1, 30.0))
        assert not ceiling.failed

    def test_it_can_be_written_and_read(self) -> None:
        ceiling = Ceiling()
        ceiling.lower(Size(8, 10.0, 3))
        assert Ceiling([list(one) for one in ceiling.failed]).failed == ceiling.failed
