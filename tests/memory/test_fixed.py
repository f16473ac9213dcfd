"""What stands beside the tensors, and the largest peak that leaves room for it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest

from voxcli.memory.cards import MIB, find
from voxcli.memory.fixed import CONTEXT, FRAGMENTATION, Constants, fixed, needed, tensors_that_fit
from voxcli.memory.machine import ram
from voxcli.memory.setup import Setup
from voxcli.recipe.schema import Train


def setup(**train: Any) -> Setup:
    return Setup(cast(Any, None), cast(Any, None), cast(Any, SimpleNamespace()), Train(**train))


def test_on_a_card() -> None:
    parts = fixed(find("rtx 3060"), setup(), 4000 * MIB)
    assert list(parts) == ["context", "cuBLAS", "fragmentation"]
    assert parts["context"] == CONTEXT
    assert parts["cuBLAS"] == 2 * 8_519_680
    assert parts["fragmentation"] == pytest.approx(FRAGMENTATION * (4000 * MIB + parts["cuBLAS"]), abs=1)
    assert fixed(find("h100"), setup())["cuBLAS"] == 64 * MIB


def test_measured_runs_take_the_place_of_published_values() -> None:
    measured = Constants(context=300 * MIB, fragmentation=0.01, runs=3)
    parts = fixed(find("t4"), setup(), 1000 * MIB, constants=measured)
    assert parts["context"] == 300 * MIB
    assert parts["fragmentation"] < 11 * MIB
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


@pytest.mark.parametrize("name", ["8GiB", "a100", "cpu"])
def test_the_largest_peak_fits_and_one_byte_more_does_not(name: str) -> None:
    device = dataclasses.replace(find(name), usable=7_000_000_001)
    most = tensors_that_fit(device, setup())
    assert 5e9 < most < 7e9
    assert needed(device, setup(), most) <= device.usable
    assert needed(device, setup(), most + 2) > device.usable


def test_a_device_smaller_than_the_context_takes_nothing() -> None:
    assert tensors_that_fit(dataclasses.replace(find("t4"), usable=100 * MIB), setup()) == 0
