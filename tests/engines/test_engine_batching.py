"""Clips into batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voxcli.api import Bundle, Limits
from voxcli.checkpoints import pack as public
from voxcli.engines.batching import MAX_CLIPS, fits, inference, long_enough, pack
from voxcli.errors import ModelError


def padded(batch: list[int], durations: list[float]) -> float:
    return len(batch) * max(durations[index] for index in batch)


def test_every_clip_once_and_no_batch_over_the_limit() -> None:
    durations = [0.3 + (7 * index % 31) / 3 for index in range(200)]
    batches = pack(durations, 30.0)
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    assert all(padded(batch, durations) <= 30.0 for batch in batches)
    filled = sum(padded(batch, durations) for batch in batches)
    assert filled < 1.05 * sum(durations)  # sorted by length: less than 5 % is padding


def test_longest_first() -> None:
    assert pack([1.0, 3.0, 2.0, 2.5], 6.0) == [[1, 3], [2, 0]]


def test_a_clip_over_the_limit_is_its_own_batch() -> None:
    assert pack([50.0, 40.0, 5.0, 5.0], 30.0) == [[0], [1], [2, 3]]


def test_a_model_that_pads_every_clip_to_its_window() -> None:
    assert [len(batch) for batch in pack([1.0] * 10, 120.0, shortest=30.0)] == [4, 4, 2]
    assert [len(batch) for batch in pack([0.1] * 100, 600.0)] == [64, 36], "however short they are"
    assert pack([], 60.0) == []


def test_very_short_clips_do_not_fill_a_batch_without_end() -> None:
    assert [len(batch) for batch in pack([0.0] * (MAX_CLIPS + 3), 120.0)] == [MAX_CLIPS, 3]
    assert [len(batch) for batch in pack([0.5] * 10, 120.0, most=4)] == [4, 4, 2]
    assert [len(batch) for batch in public([0.5] * (MAX_CLIPS + 3), 120.0, most=MAX_CLIPS + 1)] == [MAX_CLIPS, 3]


def test_nothing() -> None:
    assert pack([], 30.0) == []


@pytest.mark.parametrize(("window", "seconds", "fit"), [(2.0, 2.0, True), (2.0, 2.1, False), (np.inf, 30.1, False)])
def test_what_is_decoded_in_one_piece(window: float, seconds: float, fit: bool) -> None:
    limits = Limits(16_000, 0.025, window, 320, None, 1)
    assert fits(np.zeros(round(seconds * 16_000), np.float32), limits) is fit


def test_too_short_clips_are_filled_up_with_silence() -> None:
    limits = Limits(16_000, 0.025, 30.0, 320, None, 1)
    assert long_enough(np.ones(10, np.float32), limits).tolist() == [1.0] * 10 + [0.0] * 390
    assert len(long_enough(np.ones(500, np.float32), limits)) == 500


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried 9"),
    ],
)
def test_out_of_memory_says_what_needs_less(error: RuntimeError) -> None:
    bundle = Bundle(model=torch.nn.Dropout(), processor=None, family=None)
    expected = pytest.raises(ModelError, match="out of memory while decoding batches of 120 s")
    with expected as caught, inference(bundle, 120.0):
        raise error
    assert "--batch-duration" in str(caught.value.help)
    assert "\n" not in caught.value.message
    assert bundle.model.training


def test_other_errors_of_the_model_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), inference(Bundle(torch.nn.Dropout(), None, None), 1.0):
        raise RuntimeError("size mismatch")
