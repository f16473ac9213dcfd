"""What stands beside the tensors, and the largest peak that leaves room for it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest

from voxcli.memory.cards import MIB, find
from voxcli.memory.fixed import (
    CONTEXT,
    FRAGMENTATION,
    FRAGMENTATION_EXPANDABLE,
    FRAGMENTATION_OF_LENGTHS,
    Constants,
    fixed,
    fragmentation,
    needed,
    tensors_that_fit,
)
from voxcli.memory.machine import ram
from voxcli.memory.setup import Setup
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Train


@pytest.fixture(autouse=True)
def nothing_asked_of_the_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)


def setup(**train: Any) -> Setup:
    return Setup(cast(Any, None), cast(Any, None), cast(Any, SimpleNamespace()), Train(**train))


def test_on_a_card() -> None:
    parts = fixed(find("rtx 3060"), setup(), 4000 * MIB)
    assert list(parts) == ["context", "cuBLAS", "fragmentation"]
    assert parts["context"] == CONTEXT
    assert parts["cuBLAS"] == 2 * 8_519_680
    assert parts["fragmentation"] == pytest.approx(FRAGMENTATION_OF_LENGTHS * (4000 * MIB + parts["cuBLAS"]), abs=1)
    assert fixed(find("h100"), setup())["cuBLAS"] == 64 * MIB


def test_what_the_allocator_loses_depends_on_the_lengths_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    window = dataclasses.replace(setup(), family=Whisper(checkpoint="x"))
    clip = dataclasses.replace(setup(), family=Whisper(checkpoint="x", encoder_context="clip"))
    found = [fragmentation(one) for one in (window, clip, setup())]
    assert found == [FRAGMENTATION, FRAGMENTATION_OF_LENGTHS, FRAGMENTATION_OF_LENGTHS]
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        with monkeypatch.context() as there:
            there.setenv(name, "max_split_size_mb:64, expandable_segments: True")
            assert fragmentation(clip) == FRAGMENTATION_EXPANDABLE
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:False")
    assert fragmentation(window) == FRAGMENTATION


def test_measured_runs_take_the_place_of_published_values() -> None:
    measured = Constants(context=300 * MIB, missing=0.02, runs=3)
    parts = fixed(find("t4"), setup(), 1000 * MIB, constants=measured)
    assert parts["context"] == 300 * MIB
    assert parts["correction"] == 20 * MIB
    assert measured.source == "measured in 3 runs on this device"
    assert "not measured" in Constants().source


def test_checkpointing_leaves_more_with_malloc() -> None:
    memory = ram("8GiB")
    plain, checkpointing = (
        fixed(memory, setup(), 2000 * MIB),
        fixed(memory, setup(gradient_checkpointing=True), 2000 * MIB),
    )
    assert list(plain) == ["process", "malloc"]
    assert checkpointing["malloc"] > plain["malloc"]
    halved = fixed(memory, setup(), 2000 * MIB, constants=Constants(beside=0.5, runs=1))
    assert sum(halved.values()) == pytest.approx(sum(plain.values()) / 2, abs=2)


@pytest.mark.parametrize("name", ["8GiB", "a100", "cpu"])
def test_the_largest_peak_fits_and_one_byte_more_does_not(name: str) -> None:
    device = dataclasses.replace(find(name), usable=7_000_000_001)
    most = tensors_that_fit(device, setup())
    assert 5e9 < most < 7e9
    assert needed(device, setup(), most) <= device.usable
    assert needed(device, setup(), most + 2) > device.usable


def test_a_device_smaller_than_the_context_takes_nothing() -> None:
    assert tensors_that_fit(dataclasses.replace(find("t4"), usable=100 * MIB), setup()) == 0
