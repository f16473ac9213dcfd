"""`vox features` as a person runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyarrow import parquet

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
name = "mine"

[[data]]
type = "manifest"
path = "manifest.csv"

[model]
type = "ctc"
checkpoint = "model"

[train]
max_steps = 1
batch_duration = 4.0
"""


def tone(path: Path, duration: float, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(duration * rate)) / rate), rate)


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project({})
    tone(made.path / "in" / "a.wav", 1.0)
    tone(made.path / "in" / "deep" / "b.flac", 0.5, rate=44_100)
    return made


def test_a_folder_becomes_one_array_a_recording(project: Project) -> None:
    result = project.run("features", "log-mel", "in", "--n-mels", "40", "--out", "made/mel.npz")
    result.assert_ok()
    assert "made/mel.npz: log-mel of 2 recordings" in result.out
    with np.load(project.path / "made" / "mel.npz") as made:
        assert set(made.files) == {"parameters", "a", "deep/b"}
        assert made["a"].shape == (101, 40)
        assert made["deep/b"].shape == (51, 40)
        assert json.loads(str(made["parameters"]))["n_mels"] == 40
    assert [path.name for path in (project.path / "made").iterdir()] == ["mel.npz"]


def test_a_recipe_s_split_becomes_a_table_and_its_model_is_said_to_ignore_it(project: Project) -> None:
    (project.path / "manifest.csv").write_text(
        "path,duration,text,speaker,split\nin/a.wav,1.0,hello there,ann,train\nin/deep/b.flac,0.5,bye,bob,test\n"
    )
    (project.path / "mine.toml").write_text(RECIPE)
    tiny_ctc(project.path / "model")
    result = project.run("features", "mfcc", "mine.toml", "--split", "test", "--out", "mfcc.parquet")
    result.assert_ok()
    assert "model takes the waveform itself" in result.err
    (row,) = parquet.read_table(project.path / "mfcc.parquet").to_pylist()
    assert (row["speaker"], row["text"], row["frames"], row["bins"]) == ("bob", "bye", 51, 13)
    assert len(row["values"]) == 51 * 13
    said = json.loads(parquet.read_schema(project.path / "mfcc.parquet").metadata[b"vox"])
    assert (said["kind"], said["n_mfcc"]) == ("mfcc", 13)


def test_a_bad_recording_is_named_and_the_others_are_written(project: Project) -> None:
    (project.path / "in" / "c.wav").write_bytes(b"RIFF nothing")
    result = project.run("features", "spectrogram", "in", "--out", "s.npz", "--json")
    assert result.code == 1
    told = json.loads(result.out)
    assert told["recordings"] == 2
    assert [one["id"] for one in told["left_out"]] == ["c"]
    assert told["bins"] == 1025


def test_nothing_is_left_where_no_recording_can_be_used(project: Project) -> None:
    result = project.run("features", "mfcc", "nowhere.wav", "--out", "s.npz")
    assert result.code == 1
    assert "there is no such file or folder" in result.err
    assert not list(project.path.glob("*s.npz*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mfc", "in", "--out", "x.npz"], "did you mean mfcc?"),
        (["mfcc", "in"], "say where to write"),
        (["mfcc", "in", "--out", "x.csv"], "ends in .npz or .parquet"),
        (["mfcc", "in", "--out", "x.npz", "--layer", "2"], "mfcc does not take --layer"),
        (["mfcc", "in", "--out", "x.npz", "--split", "test"], "--split belongs to a recipe"),
        (["embedding", "in", "--out", "x.npz"], "comes from a model, and none is named"),
        (["embedding", "in", "--out", "x.npz", "--n-mels", "8"], "does not take --n-mels"),
        (["mfcc"], "name a feature and recordings"),
    ],
)
def test_bad_input_is_told(project: Project, arguments: list[str], said: str) -> None:
    result = project.run("features", *arguments)
    assert result.code == 2
    assert said in result.err


def test_a_file_that_exists_is_kept(project: Project) -> None:
    (project.path / "x.npz").write_bytes(b"mine")
    assert "exists already" in project.run("features", "mfcc", "in", "--out", "x.npz").err
    assert (project.path / "x.npz").read_bytes() == b"mine"


def test_the_list_names_all(project: Project) -> None:
    shown = project.run("features", "--list").out
    for name in ("log-mel", "mfcc", "speaker-mfcc", "spectrogram", "embedding", "x-vector"):
        assert name in shown
