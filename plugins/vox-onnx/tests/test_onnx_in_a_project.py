"""From a run to transcripts and classes by onnxruntime, as a person does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.testing import Project, check_plugin
from voxcli.testing_models import tiny_classifier, tiny_ctc, tiny_whisper

RECIPE = """
name = "r"
[[data]]
type = "manifest"
path = "data/manifest.csv"
[model]
type = "ctc"
checkpoint = "tiny"
vocabulary = "checkpoint"
[train]
max_steps = 1
batch_duration = 4.0
use_cpu = true
"""


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    return vox_project({"train.toml": RECIPE})


def test_a_run_speaks_through_onnx(project: Project) -> None:
    data = project.speech("data", n=4)
    tiny_ctc(project.path / "tiny")
    project.run("train", "train.toml").assert_ok()
    clips = sorted(str(path) for path in (data / "audio").glob("test*.wav"))
    asked = ("transcribe", *clips, "--model", "runs/r", "--device", "cpu", "--json", "--word-timestamps")
    wanted = project.run(*asked).assert_ok()
    found = project.run(*asked, "--engine", "onnx").assert_ok()
    assert "has no export of" in found.err
    assert words(found.out) == words(wanted.out)
    assert any(words(found.out))
    (made,) = (project.path / "runs/r/export").iterdir()
    assert (made / "model.onnx").is_file()
    assert json.loads((made / "vox.json").read_text())["exported"]["engine"] == "onnx"

    again = project.run(*asked, "--engine", "onnx", "--engine-option", "threads=1").assert_ok()
    assert "exported from" in again.err
    assert "has no export of" not in again.err
    assert words(again.out) == words(wanted.out)

    options = ("quantization=int8", "--out", "small", "--probe", "2", "--json")
    small = project.run("export", "runs/r", "--to", "onnx", *options).assert_ok()
    assert json.loads(small.out)["check"]
    direct = project.run("transcribe", clips[0], "--model", "small").assert_ok()  # the folder says which engine

    (project.path / "small/model.onnx").write_bytes(b"no graph")
    broken = project.run("transcribe", clips[0], "--model", "small").assert_code(1)
    assert "model.onnx cannot be loaded" in broken.err
    assert direct.code == 0


def test_a_language_model_reads_the_frames_of_onnxruntime(project: Project) -> None:
    pytest.importorskip("vox_lm")
    data = project.speech("data", n=2)
    tiny_ctc(project.path / "tiny")
    project.write({"texts.txt": "one two three\nfour five six\nseven eight nine ten\n"})
    project.run("lm", "build", "texts.txt", "--order", "2", "--out", "words.arpa").assert_ok()
    (clip, *_) = sorted(str(path) for path in (data / "audio").glob("*.wav"))
    lm = ("--decoder", "lm", "--decoder", "path=words.arpa", "--decoder", "alpha=3.0", "--decoder", "beam_width=8")
    asked = ("transcribe", clip, "--model", "tiny", "--device", "cpu")
    greedy = project.run(*asked, "--engine", "onnx").assert_ok()
    wanted = project.run(*asked, *lm).assert_ok()
    found = project.run(*asked, *lm, "--engine", "onnx").assert_ok()
    assert found.out == wanted.out
    assert found.out != greedy.out


def words(out: str) -> list[list[tuple[str, float, float]]]:
    return [
        [(word["word"], word["start"], word["end"]) for segment in one["segments"] for word in segment["words"]]
        for one in map(json.loads, out.splitlines())
    ]


def test_classes_window_by_window(project: Project) -> None:
    tiny_classifier(project.path / "model", labels=("high", "low", "mid"))
    rng = np.random.default_rng(0)
    for name, seconds in (("a", 1.0), ("b", 2.5)):
        audio = 0.1 * rng.standard_normal(int(16_000 * seconds))
        soundfile.write(project.path / f"{name}.wav", audio.astype(np.float32), 16_000)
    asked = ("classify", "a.wav", "b.wav", "--model", "model", "--device", "cpu", "--json", "--top-k", "2")
    windows = ("--window", "1.0", "--stride", "0.5", "--by-window", "--aggregate", "max", "--threshold", "0.2")
    for more in ((), windows):
        wanted = list(map(json.loads, project.run(*asked, *more).assert_ok().out.splitlines()))
        result = project.run(*asked, *more, "--engine", "onnx").assert_ok()
        found = list(map(json.loads, result.out.splitlines()))
        assert len(found) == 2
        for one, want in zip(found, wanted, strict=True):
            assert one["scores"] == pytest.approx(want["scores"], abs=1e-4)
            assert one["labels"] == want["labels"]
            assert len(one.get("windows", [])) == len(want.get("windows", []))
        assert (len(found[1].get("windows", [])) == 4) == bool(more)
        assert "3 classes: high, low, mid" in result.err
    refused = project.run("transcribe", "a.wav", "--model", "model", "--engine", "onnx").assert_code(1)
    assert "vox classify" in refused.err


def test_a_text_model_has_no_classes_and_a_whisper_no_onnx(project: Project) -> None:
    tiny_ctc(project.path / "tiny")
    tiny_whisper(project.path / "whisper")
    soundfile.write(project.path / "a.wav", np.zeros(16_000, np.float32), 16_000)
    text = project.run("classify", "a.wav", "--model", "tiny", "--engine", "onnx").assert_code(1)
    assert "this model writes text: it has no classes" in text.err
    whisper = project.run("transcribe", "a.wav", "--model", "whisper", "--engine", "onnx").assert_code(1)
    assert "onnx is for CTC models and classifiers" in whisper.err
    assert "--to ctranslate2" in whisper.err
    unknown = project.run("export", "tiny", "--to", "onnx", "quantisation=int8").assert_code(2)
    assert "quantization" in unknown.err
    assert not Path(project.path, "export").exists()


def test_it_honours_the_contract_of_a_plugin() -> None:
    check_plugin("vox_onnx")
