"""This machine's memory: what a container leaves of its RAM, and what is free of its GPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from voxcli.errors import UsageError
from voxcli.memory import machine
from voxcli.memory.cards import GIB, find
from voxcli.memory.fixed import CONTEXT
from voxcli.memory.machine import ram


def test_ram_is_an_exact_budget() -> None:
    asked = ram("6GiB")
    assert (asked.total, asked.usable, asked.kind, asked.here) == (6 * GIB, 6 * GIB, "cpu", False)
    with pytest.raises(UsageError, match="no amount of memory"):
        ram("much")


def test_this_processor_has_memory() -> None:
    here = find("cpu")
    assert here.here
    assert 0 < here.usable <= here.total


def test_a_container_limits_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    real = machine._container
    monkeypatch.setattr(machine, "_container", lambda: real(tmp_path))
    monkeypatch.setattr(machine, "_physical", lambda: 64 * GIB)
    monkeypatch.setattr(machine, "_available", lambda: 60 * GIB)
    monkeypatch.setattr(machine, "_resident", lambda: 0)
    assert (ram().total, ram().usable) == (3 * GIB, 2 * GIB)
    (tmp_path / "memory.max").write_text("max\n")
    assert (ram().total, ram().usable) == (64 * GIB, 60 * GIB)


def test_of_a_gpu_here_what_others_hold_is_not_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name="NVIDIA L4", major=8, minor=9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (10 * GIB, 22 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: 2 * GIB)
    here = find()
    assert (here.name, here.total, here.kind, here.capability, here.here) == (
        "NVIDIA L4",
        22 * GIB,
        "cuda",
        (8, 9),
        True,
    )
    assert here.usable == 12 * GIB + CONTEXT
