"""What is read of a run: damaged logs, runs without an end, folders of the transformers Trainer."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxcli.doctor.run import process, saved
from voxcli.doctor.run.record import of_run, of_trainer
from voxcli.doctor.run.run_log import read
from voxcli.doctor.run.trainer_log import could_be_over, of_checkpoint
from voxcli.errors import DataError


def step(at: int, **more: Any) -> dict[str, Any]:
    return {"step": at, "loss": 1.0 / at, "grad_norm": 2.0, "learning_rate": 1e-4, "seconds": 0.5, **more}


def log(folder: Path, *lines: dict[str, Any] | str, end: str = "\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.toml").write_text('name = "r"\n[model]\ntype = "ctc"\n[train]\nmax_steps = 100\n')
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "log.jsonl").write_text(text + end)
    return folder


def state(folder: Path, history: list[Any], **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    last = max((entry["step"] for entry in history if isinstance(entry, dict) and "step" in entry), default=0)
    table = {"global_step": last, "max_steps": 100, "log_history": history, **more}
    (folder / "trainer_state.json").write_text(json.dumps(table))
    return folder


def test_figures_become_columns(tmp_path: Path) -> None:
    record = of_run(log(tmp_path, step(1), step(2, contrastive_loss=3.5), step(3, loss=None)))
    assert record.steps.tolist() == [1, 2, 3]
    assert record.column("loss")[:2].tolist() == [1.0, 0.5]
    assert math.isnan(record.column("loss")[2])
    assert math.isnan(record.column("contrastive_loss")[0])
    assert record.column("contrastive_loss")[1] == 3.5
    assert np.isnan(record.column("no such thing")).all()


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "null",
        "[1]",
        '"text"',
        "\x00\x00",
        '{"step": "12", "loss": 1}',
        '{"loss": 1}',
        '{"step": -1, "loss": 1}',
        "é{",
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_read(line: str, tmp_path: Path) -> None:
    record = of_run(log(tmp_path, step(1), line, step(2)))
    assert record.steps.tolist() == [1, 2]
    assert [(damage.path.name, damage.line) for damage in record.damage] == [("log.jsonl", 2)]


def test_half_a_last_line_is_no_damage(tmp_path: Path) -> None:
    record = of_run(log(tmp_path, step(1), '{"step": 2, "lo', end=""))
    assert record.cut
    assert not record.damage
    assert record.steps.tolist() == [1]


def test_binary_rubbish_does_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(os.urandom(20_000))
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "lock.json").write_text("[]")
    (tmp_path / "culprits.jsonl").write_bytes(b"\x80\n{}\n")
    record = of_run(tmp_path)
    assert {damage.path.name for damage in record.damage} == {"log.jsonl", "recipe.toml", "lock.json", "culprits.jsonl"}
    assert record.status == "empty"


def test_an_empty_folder_is_an_empty_run(tmp_path: Path) -> None:
    record = of_run(tmp_path)
    assert (record.status, record.damage, record.last_step) == ("empty", [], 0)


def test_figures_that_are_no_numbers_are_marked(tmp_path: Path) -> None:
    lines = (step(1), '{"step": 2, "loss": NaN, "grad_norm": 1.0}', '{"step": 3, "loss": 1, "grad_norm": "inf"}')
    assert of_run(log(tmp_path, *lines, step(4, loss=None))).marks.tolist() == [0, 2, 4, 1]


def test_of_a_step_that_was_taken_twice_the_second_counts(tmp_path: Path) -> None:
    record = of_run(log(tmp_path, step(1), step(2, loss=9.0), step(3), step(2, loss=5.0), step(4)))
    assert record.steps.tolist() == [1, 2, 3, 4]
    assert record.column("loss")[1] == 5.0
    assert record.jumps == [(3, 2)]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([step(100)], "finished"),
        ([step(50)], "crashed"),
        ([step(50), {"step": 50, "end": "interrupted"}], "interrupted"),
        ([step(50), {"step": 50, "end": "stopped early"}], "stopped early"),
        ([step(50), {"step": 50, "end": "error", "error": {}}], "error"),
        ([step(50), {"step": 50, "end": "interrupted"}, {"step": 50, "session": {}}, step(51)], "crashed"),
        ([{"step": 0, "session": {"pid": os.getpid(), "host": socket.gethostname()}}, step(1)], "running"),
        ([{"step": 0, "session": {"pid": os.getpid(), "host": "elsewhere"}}, step(1)], "crashed"),
        ([{"step": 0, "session": {"pid": "?", "host": None, "time": 3}}, step(1)], "crashed"),
    ],
)
def test_how_a_run_ended(entries: list[dict[str, Any]], expected: str, tmp_path: Path) -> None:
    log(tmp_path, *entries)
    before = time.time() - 86400
    os.utime(tmp_path / "log.jsonl", (before, before))
    assert of_run(tmp_path).status == expected


def test_a_log_that_was_just_written_to_goes_on(tmp_path: Path) -> None:
    assert of_run(log(tmp_path, step(1))).status == "running"


def test_a_process_that_is_younger_than_the_session_only_has_its_number() -> None:
    here = socket.gethostname()
    assert process.alive(os.getpid(), here, "2100-01-01T00:00:00+00:00") is True
    assert process.alive(os.getpid(), here) is True
    assert process.alive(os.getpid(), "elsewhere") is None
    assert process.alive(None, here) is None
    if Path("/proc/self/stat").exists():
        assert process.alive(os.getpid(), here, "2001-01-01T00:00:00+00:00") is False


def test_epochs_say_how_long_a_run_is(tmp_path: Path) -> None:
    log(tmp_path, *(step(at, epoch=at / 10) for at in range(1, 11)))
    (tmp_path / "recipe.toml").write_text("[train]\nnum_train_epochs = 3\n")
    assert of_run(tmp_path).total_steps == 30


# --------------------------------------------------------------------------------------------------------- the Trainer


def test_the_newest_state_of_a_folder_is_read(tmp_path: Path) -> None:
    state(tmp_path / "checkpoint-100", [step(100)])
    state(tmp_path / "checkpoint-20", [step(20)])
    record = of_trainer(tmp_path)
    assert record.last_step == 100
    assert not of_checkpoint(record)
    assert of_checkpoint(of_trainer(tmp_path / "checkpoint-20"))


@pytest.mark.parametrize(
    ("steps", "save_steps", "expected"),
    [((20, 40), 20, False), ((20, 40, 60), 20, False), ((20, 90), 20, True), ((10, 50), 500, True), ((40,), 10, False)],
)
def test_a_trainer_may_have_ended_between_two_checkpoints(
    steps: tuple[int, ...], save_steps: int, expected: bool, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    for at in steps:
        state(tmp_path / f"checkpoint-{at}", [step(at)], save_steps=save_steps)
        save_file({"a": np.zeros(2)}, tmp_path / f"checkpoint-{at}/model.safetensors")
    assert could_be_over(of_trainer(tmp_path)) == expected


@pytest.mark.parametrize(
    ("logged", "expected"), [((61.0, 34.5, 28.1), 0.281), ((0.61, 0.345, 0.281), 0.281), ((4.2, 3.0, 2.9), 2.9)]
)
def test_error_rates_in_percent_become_shares(logged: tuple[float, ...], expected: float, tmp_path: Path) -> None:
    history = [{"step": at, "eval_wer": value, "eval_loss": 2.0} for at, value in enumerate(logged, 1)]
    assert of_trainer(state(tmp_path, history)).evaluations[-1].scores["wer"] == pytest.approx(expected)


def test_low_error_rates_in_percent_are_known_by_the_loss(tmp_path: Path) -> None:
    history = [{"step": at, "eval_wer": 4.0, "eval_loss": 0.1} for at in (1, 2, 3)]
    assert of_trainer(state(tmp_path, history)).evaluations[-1].scores["wer"] == pytest.approx(0.04)


def test_a_damaged_history_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    record = of_trainer(state(tmp_path, [step(1), None, {"loss": 1.0}, {"eval_loss": 1.0}, step(2)]))
    assert record.steps.tolist() == [1, 2]
    assert [str(damage).rpartition(": ")[2] for damage in record.damage] == [
        "no object",
        "its step is null, expected a number",
        "an evaluation without a step",
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_state_that_cannot_be_read_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read"):
        of_trainer(tmp_path)


def test_the_model_card_says_what_the_pickle_holds(tmp_path: Path) -> None:
    state(tmp_path, [step(1)])
    card = "Training hyperparameters\n\n- learning_rate: 3e-05\n- num_devices: 2\n- gradient_accumulation_steps: 4\n"
    (tmp_path / "README.md").write_text(card + "- mixed_precision_training: Native AMP\n- seed: 42\n")
    expected = {"learning_rate": 3e-5, "num_devices": 2, "gradient_accumulation_steps": 4, "mixed_precision": "fp16"}
    assert of_trainer(tmp_path).train == expected


# --------------------------------------------------------------------------------------------------------- checkpoints


def test_a_file_that_ends_before_its_header_says(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(1000, dtype=np.float32)}, path)
    assert saved.weights_problem(tmp_path) is None
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "cut short" in str(saved.weights_problem(tmp_path))
    path.write_bytes(whole[:4])
    assert "without a readable header" in str(saved.weights_problem(tmp_path))
    path.write_bytes(whole[:8] + b"x" * len(whole[8:]))
    assert "header cannot be read" in str(saved.weights_problem(tmp_path))
    path.write_bytes(b"")
    assert "is empty" in str(saved.weights_problem(tmp_path))
    path.unlink()
    assert "no weights" in str(saved.weights_problem(tmp_path))


def test_shards_have_to_be_there(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert saved.weights_problem(tmp_path) == "model-00001-of-00002.safetensors is missing"


def test_a_long_log_costs_bytes_not_objects(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = json.dumps(step(1) | {"data_seconds": 0.1, "padding": 0.1})
    path.write_text("".join(line.replace('"step": 1,', f'"step": {at},') + "\n" for at in range(1, 20_001)))
    found = read(path)
    assert len(found.columns.arrays()[0]) == found.lines == 20_000
