"""Runs are kept, their errors are listed, and a device's own runs correct what is assumed of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from voxcli.memory import calibration
from voxcli.memory.calibration import Row, append, constants, errors, rows
from voxcli.memory.cards import MIB, find
from voxcli.memory.fixed import CONTEXT, Constants
from voxcli.memory.setup import Shape

ROW = Row(
    time="2025-01-02T03:04:05",
    device="T4",
    kind="cuda",
    model="openai/whisper-small",
    options="LoRA, checkpointing",
    shape=Shape(8, 30.0, 112),
    predicted={"weights": 900 * MIB, "activations": 100 * MIB, "tensors": 1000 * MIB, "needed": 1500 * MIB},
    measured={"tensors": 1020 * MIB, "reserved": 1100 * MIB, "beside": 320 * MIB},
    steps=10,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def measured(**sizes: int) -> Row:
    return dataclasses.replace(ROW, measured=sizes)


def test_what_is_kept_is_read_back(cache: Path) -> None:
    assert rows() == []
    other = dataclasses.replace(ROW, device="L4", shape=Shape(2, 4.5, 7))
    append(ROW)
    append(other)
    assert rows() == [ROW, other]
    with (cache / calibration.RUNS).open("a") as file:
        file.write('{"device": "of another version"}\n{"half')
    assert rows() == [ROW, other]


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "file"))
    append(ROW)
    assert rows() == []


def test_errors_are_relative_to_what_was_measured() -> None:
    process: dict[str, Any] = {"kind": "cpu", "measured": {"process": 2000 * MIB}}
    append(ROW)
    append(dataclasses.replace(ROW, **process))
    append(measured())
    gpu, cpu = errors()
    assert (gpu.what, gpu.predicted, gpu.measured) == ("tensors", 1000 * MIB, 1020 * MIB)
    assert gpu.relative == pytest.approx(-20 / 1020)
    assert (cpu.what, cpu.predicted, cpu.measured) == ("process", 1500 * MIB, 2000 * MIB)
    assert cpu.relative == pytest.approx(-0.25)


def test_a_device_without_runs_keeps_the_published_values() -> None:
    assert constants(find("T4")) == Constants()
    append(ROW)
    assert constants(find("L4")) == Constants()
    assert constants(find("cpu")) == Constants()


def test_its_own_runs_correct_a_device() -> None:
    for tensors, beside in ((1020, 320), (1050, 340), (1030, 5000)):
        append(measured(tensors=tensors * MIB, beside=beside * MIB))
    found = constants(find("T4"))
    assert found.runs == 3
    assert found.context == 330 * MIB, "5000 MiB belong to another program"
    assert found.missing == pytest.approx(0.03)
    append(dataclasses.replace(ROW, device="Tesla T4"))
    assert constants(find("T4")).runs == 4, "the driver's name for it"


def test_what_stayed_free_corrects_nothing() -> None:
    append(measured(tensors=900 * MIB))
    found = constants(find("T4"))
    assert (found.missing, found.context, found.runs) == (0.0, CONTEXT, 1)


def test_a_run_that_was_something_else_corrects_nothing() -> None:
    append(measured(tensors=3000 * MIB))
    assert constants(find("T4")) == Constants()
    assert len(errors()) == 1, "it is shown all the same"


def test_a_processor_s_runs_scale_what_stands_beside_the_tensors() -> None:
    predicted = {"tensors": 200 * MIB, "process": 450 * MIB, "malloc": 450 * MIB, "needed": 1100 * MIB}
    cpu = dataclasses.replace(ROW, device="this machine's RAM", kind="cpu", predicted=predicted)
    for process in (650, 740, 9000):
        append(dataclasses.replace(cpu, measured={"process": process * MIB}))
    found = constants(find("cpu"))
    assert (found.beside, found.runs) == (pytest.approx(0.6), 2), "9000 MiB were a process that did other things"
    assert constants(find("T4")) == Constants()
    # a run that was predicted with the correction says the same about the published values
    corrected = predicted | {"process": 270 * MIB, "malloc": 270 * MIB, "published": 900 * MIB, "needed": 740 * MIB}
    append(dataclasses.replace(cpu, predicted=corrected, measured={"process": 740 * MIB}))
    assert constants(find("cpu")).beside == pytest.approx(0.6)
