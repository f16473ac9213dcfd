"""The pytest plugin itself."""

from __future__ import annotations

import csv

import pytest

from voxcli.testing import CHARACTER_SECONDS


def test_a_project_runs_vox_in_its_folder(vox_project):
    project = vox_project({"a/b.toml": "x = 1\n", "c.bin": b"\0"})
    assert (project.path / "a" / "b.toml").read_text() == "x = 1\n"
    assert (project.path / "c.bin").read_bytes() == b"\0"
    assert "a/b.toml has" in project.run("recipe", "check", "a/b.toml").assert_code(2).err


def test_two_projects_are_apart(vox_project):
    assert vox_project().path != vox_project().path


def test_a_wrong_exit_code_shows_what_was_printed(vox_project):
    with pytest.raises(AssertionError, match="there is no recipe"):
        vox_project().run("recipe", "check", "gone.toml").assert_ok()


def test_speech_is_what_the_manifest_says(speech_folder):
    soundfile = pytest.importorskip("soundfile")
    folder = speech_folder(n=3, texts=["ab c"], sampling_rate=8000, suffix=".flac")
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["train"] * 3 + ["validation"] * 2 + ["test"] * 2
    for row in rows:
        audio, rate = soundfile.read(folder / row["path"])
        assert rate == 8000
        assert len(audio) / rate == pytest.approx(float(row["duration"]), abs=1e-3)
        assert float(row["duration"]) == pytest.approx(5 * CHARACTER_SECONDS)
        assert 0.05 < abs(audio).max() <= 1.0


def test_the_same_seed_gives_the_same_speech(speech_folder):
    first, second = speech_folder("a", n=2), speech_folder("b", n=2)
    assert (first / "manifest.csv").read_bytes() == (second / "manifest.csv").read_bytes()
    assert (first / "audio/train-000.wav").read_bytes() == (second / "audio/train-000.wav").read_bytes()


def test_a_snapshot_that_differs_says_how_to_renew_it(vox_snapshot, monkeypatch):
    monkeypatch.delenv("VOX_UPDATE_SNAPSHOTS", raising=False)
    with pytest.raises(AssertionError, match="VOX_UPDATE_SNAPSHOTS=1"):
        vox_snapshot("text", "there_is_none.txt")


def test_speech_with_labels_says_them(speech_folder):
    folder = speech_folder(labels=["no", "yes"], splits={"train": 4})
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["no", "yes"] * 2
    assert [row["text"] for row in rows] == ["no", "yes"] * 2
