"""Training on streams: windows without listing, resume, several data sets, and what streams do not have."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.data.windows import Windows
from voxcli.datasets.huggingface import HuggingFace
from voxcli.datasets.live import BEGINNING, Live
from voxcli.datasets.manifest import Manifest
from voxcli.errors import DataError
from voxcli.recipe.schema import TextRules
from voxcli.testing import tones
from voxcli.testing_models import tiny_ctc

datasets = pytest.importorskip("datasets")
ROWS = 24


def rows_of(folder, count=ROWS):
    """Encoded rows, as the Hub has them: row n says n letters."""
    import io

    rows = []
    for number in range(count):
        file = io.BytesIO()
        text = "abcdefgh"[: 3 + number % 6]
        soundfile.write(file, tones(text), 16000, format="FLAC")
        rows.append({"audio": {"bytes": file.getvalue(), "path": None}, "text": text, "id": f"row{number:02}"})
    features = datasets.Features(
        audio=datasets.Audio(sampling_rate=16000), text=datasets.Value("string"), id=datasets.Value("string")
    )
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    half = count // 2
    for name, some in (("train-00000", rows[:half]), ("train-00001", rows[half:]), ("validation-00000", rows[:3])):
        pq.write_table(pa.Table.from_pylist(some, schema=features.arrow_schema), folder / f"{name}.parquet")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    from voxcli.datasets import hub

    def no_network(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "vox"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    hub.parts.cache_clear()


@pytest.fixture
def stream(tmp_path):
    folder = rows_of(tmp_path / "rows")
    files = {"train": ("train",), "validation": ("validation",)}
    return HuggingFace(path=str(folder), streaming=True, buffer_size=10, splits=files)


def ids(utterances):
    return [one.id for one in utterances]


def test_rows_come_in_order_and_again_from_the_beginning(stream, tmp_path):
    live = Live(stream, "train")
    first, at = live.read(10, tmp_path / "a", BEGINNING)
    second, at = live.read(10, tmp_path / "b", at)
    third, at = live.read(10, tmp_path / "c", at)
    assert ids(first + second + third) == [f"row{number % ROWS:02}" for number in range(30)]
    assert (at["pass"], at["row"]) == (1, 6)
    samples, rate = third[0].audio()
    assert (len(samples), rate) == (len(tones(third[0].text or "")), 16000)


@pytest.mark.parametrize("state", [True, False])
def test_a_position_is_found_again(stream, tmp_path, state, caplog):
    _, at = Live(stream, "train").read(13, tmp_path / "a", BEGINNING)
    at = json.loads(json.dumps(at))
    assert at["state"] is not None
    if not state:  # what `datasets` does not know is passed over
        at["state"] = None
    found, _ = Live(stream, "train").read(4, tmp_path / "b", at)
    assert ids(found) == ["row13", "row14", "row15", "row16"]
    assert ("passing over 13 rows" in caplog.text) is not state


def test_windows_are_kept_while_they_are_needed(stream, tmp_path):
    windows = Windows([stream], (1.0,), TextRules(lowercase=True), owner="run")
    assert [len(windows.raw(number)) for number in range(4)] == [10, 10, 4, 10]  # no row twice in a window
    assert list(windows.raw(3).ids) == list(windows.raw(0).ids)
    assert windows.raw(1).durations.min() > 0.2
    start = windows.start(2)
    windows.forget(1)
    names = [path.name for path in (tmp_path / "vox" / "windows").rglob("*.arrow")]
    assert not [name for name in names if name.startswith("000001")]
    again = Windows([stream], (1.0,), TextRules(lowercase=True), owner="other run")
    again.seek(2, json.loads(json.dumps(start)))
    assert list(again.raw(2).ids) == list(windows.raw(2).ids) != list(windows.raw(0).ids)
    with pytest.raises(DataError, match="is not known"):
        Windows([stream], (1.0,), TextRules(), owner="third").raw(7)


def test_data_sets_give_rows_by_their_weights(stream, speech_folder):
    listed = Manifest(path=speech_folder(n=9) / "manifest.csv")
    windows = Windows([stream, listed], (1.0, 3.0), TextRules())
    counts = np.asarray([np.bincount(windows.raw(number).origins, minlength=2) for number in range(4)])
    assert counts.sum(axis=0).tolist() == [10, 30]
    tables = [windows.raw(number) for number in range(4)]
    seen = [str(name).partition("#")[0] for table in tables for name in table.select(table.origins == 1).ids]
    n_listed = len(set(seen))
    assert len(set(seen[:n_listed])) == n_listed  # through all before any comes again


RECIPE = """
    [[data]]
    type = "huggingface"
    path = "rows"
    streaming = true
    buffer_size = 8
    [model]
    type = "ctc"
    checkpoint = "base"
    [train]
    max_steps = {steps}
    batch_duration = 1.5
    eval_steps = 4
    save_steps = 3
    save_total_limit = 9
    learning_rate = 1e-3
    lr_scheduler_type = "constant"
    warmup_steps = 0
    use_cpu = true
"""


@pytest.fixture
def project(vox_project):
    made = vox_project({"train.toml": RECIPE.format(steps=7), "half.toml": RECIPE.format(steps=7)})
    rows_of(made.path / "rows")
    tiny_ctc(made.path / "base")
    return made


def losses(run):
    entries = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {one["step"]: one["loss"] for one in entries if "loss" in one}


def test_a_run_reads_windows_and_a_resumed_one_goes_on_bit_for_bit(project, caplog):
    project.run("train", "train.toml", "--no-doctor").assert_ok()
    whole = losses(project.path / "runs/train")
    assert set(whole) == set(range(1, 8))
    windows = [json.loads(line) for line in (project.path / "runs/train/stream.jsonl").read_text().splitlines()]
    assert len(windows) >= 2
    assert [one["rows"] for one in windows] == [8] * len(windows)
    state = json.loads((project.path / "runs/train/checkpoints/step-000006/training_state/state.json").read_text())
    assert state["epoch"] >= 1
    assert state["stream"][0]["row"] > 0
    # the same run, stopped after three steps, on a machine that has nothing of the stream
    half = project.path / "runs/half"
    project.run("train", "train.toml", "train.max_steps=3", "--no-doctor", "--run-dir", half).assert_ok()
    shutil.rmtree(Path(os.environ["VOX_CACHE"]) / "windows")
    with caplog.at_level(logging.WARNING):
        project.run("train", "train.toml", "--no-doctor", "--run-dir", half, "--resume").assert_ok()
    later = losses(half)
    assert [later[step] for step in range(4, 8)] == [whole[step] for step in range(4, 8)]


def test_a_plan_is_made_of_the_first_window(project):
    found = json.loads(project.run("train", "train.toml", "--no-doctor", "--dry-run", "--json").assert_ok().out)
    assert found["splits"]["train"]["utterances"] == 8
    assert found["stream"] == {"window": 8}
    shown = project.run("train", "train.toml", "--no-doctor", "--dry-run").assert_ok().out
    assert "read as it comes, 8 rows at a time" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("~train.max_steps train.num_train_epochs=2.0", "no epochs that could be counted"),
        ("holdout.validation=0.1", "cannot cut splits out of a stream"),
        ('model.vocabulary="data"', "a stream is not known before it is read"),
        ('data.0.splits={train=["nothing"]}', "has no part 'nothing'"),
    ],
)
def test_what_a_stream_does_not_have(project, change, message):
    result = project.run("train", "train.toml", "--no-doctor", *change.split())
    assert result.code in (1, 2)
    assert message in result.err
    assert "help:" in result.err


def test_a_stream_that_breaks_off_is_said(project):
    for path in (project.path / "rows").glob("train-00001*"):
        path.write_bytes(b"PAR1 not any more")
    result = project.run("train", "train.toml", "--no-doctor")
    assert result.code != 0
    assert "stream broke off" in result.err or "cannot be loaded" in result.err
