"""A classifier from folders of labels to an exported model, as a person goes: train, evaluate, classify, export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.testing import Project
from voxcli.testing_models import tiny_classifier

PITCHES = {"high": 2500.0, "low": 200.0, "mid": 800.0}  # Hz

RECIPE = """
    [[data]]
    type = "audio-folder"
    root = "sounds"

    [holdout]
    validation = 0.25

    [model]
    type = "classifier"
    checkpoint = "base"
    encoder_context = "clip"
    crop_duration = 0.5

    [train]
    max_steps = 50
    learning_rate = 2e-2
    per_device_train_batch_size = 12
    eval_steps = 50
    use_cpu = true
"""


def sounds(folder: Path, counts: Mapping[str, int], *, split: str = "train", duration: float = 0.8) -> None:
    rng = np.random.default_rng(0)
    for label, count in counts.items():
        (folder / split / label).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            time = np.arange(round(16_000 * duration * rng.uniform(0.5, 1.0))) / 16_000
            wave = 0.3 * np.sin(2 * np.pi * PITCHES.get(label, 1500.0) * rng.uniform(0.9, 1.1) * time)
            audio = wave + 0.01 * rng.standard_normal(len(time))
            soundfile.write(folder / split / label / f"{index}.wav", audio.astype(np.float32), 16_000)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a finished run."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("classifier")
        patch.setenv("VOX_CACHE", str(path / "cache"))
        patch.setenv("NO_COLOR", "1")
        patch.setenv("VOX_PREDICT_MEMORY", "0")
        project = Project(path).write({"r.toml": RECIPE})
        tiny_classifier(path / "base", architecture="whisper")
        sounds(path / "sounds", dict.fromkeys(PITCHES, 8))
        sounds(path / "sounds", dict.fromkeys(PITCHES, 3), split="test")
        project.run("train", "r.toml").assert_ok()
        yield project


def test_every_class_gives_its_share_of_the_validation_split(trained: Project) -> None:
    result = trained.run("train", "r.toml", "--dry-run", "--no-doctor").assert_ok()
    assert re.search(r"train +18 utterances", result.out)
    log = [json.loads(line) for line in (trained.path / "runs/r/log.jsonl").read_text().splitlines()]
    scores = next(line for line in reversed(log) if "accuracy" in str(line))
    assert "macro_f1" in str(scores)


def test_evaluate_says_what_is_taken_for_what(trained: Project) -> None:
    result = trained.run("evaluate", "runs/r", "--json").assert_ok()
    scores = json.loads(result.out)
    assert scores["accuracy"]["value"] >= 8 / 9
    assert [row["label"] for row in scores["classes"]] == ["high", "low", "mid"]
    assert sum(count for _, _, count in scores["confusion"]) == 9
    low, high = scores["accuracy"]["interval"]
    assert low <= scores["accuracy"]["value"] <= high
    lines = (Path(trained.path, scores["folder"]) / "utterances.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert (first["id"], first["labels"]) == ("test/high/0.wav", ["high"])
    assert sum(first["scores"].values()) == pytest.approx(1.0, abs=1e-4)

    shown = trained.run("evaluate", "runs/r", "--baseline", "runs/r").assert_ok().out
    assert "accuracy" in shown
    assert "class  utterances  precision %  recall %   F1 %" in shown
    assert "before: runs/r" in shown


def test_a_class_that_training_lacked_is_named(trained: Project) -> None:
    sounds(trained.path / "more", {"low": 2, "odd": 2}, split="test")
    result = trained.run("evaluate", "runs/r", "--data", "more").assert_ok()
    assert "the model does not know odd: each of these utterances is wrong" in result.out
    trained.run("evaluate", "runs/r", "--data", "more", "--split", "train").assert_code(1)
    refused = trained.run("evaluate", "runs/r", "--num-beams", "2").assert_code(2)
    assert "--num-beams is for models that write text, and runs/r classifies" in refused.err


def test_classify_files_folders_and_standard_input(trained: Project) -> None:
    folder = "sounds/test/low"
    result = trained.run("classify", folder, "gone.wav", "--model", "runs/r", "--json", "--top-k", "2").assert_code(1)
    *good, bad = map(json.loads, result.out.splitlines())
    assert [one["labels"] for one in good] == [["low"]] * 3
    assert [len(one["scores"]) for one in good] == [2, 2, 2]
    assert bad == {"path": "gone.wav", "error": "gone.wav: there is no such file or folder"}

    audio = (trained.path / folder / "0.wav").read_bytes()
    plain = trained.run("classify", "-", input=audio).assert_ok()
    assert plain.out.startswith("stdin  low ")
    assert "model runs/r, the newest run" in plain.err
    unsure = trained.run("classify", "-", "--threshold", "1.0", input=audio).assert_ok()
    assert unsure.out == "stdin  nothing\n"


def test_classify_a_long_recording_window_by_window(trained: Project) -> None:
    pieces = [soundfile.read(trained.path / f"sounds/test/{name}/0.wav")[0][:6000] for name in ("low", "high")]
    soundfile.write(trained.path / "both.wav", np.concatenate(pieces), 16_000)
    asked = ("classify", "both.wav", "--window", "0.375", "--by-window", "--top-k", "1", "--format", "tsv")
    rows = [line.split("\t") for line in trained.run(*asked).assert_ok().out.splitlines()]
    assert rows[0] == ["path", "start", "end", "label", "score", "chosen"]
    assert [row[1:4] for row in rows[1:]] == [["0.000", "0.375", "low"], ["0.375", "0.750", "high"]]
    wide = trained.run("classify", "both.wav", "--window", "60").assert_code(2)
    assert "--window 60: the model takes 3 s at a time" in wide.err


def test_the_export_is_an_ordinary_model(trained: Project) -> None:
    result = trained.run("export", "runs/r", "--to", "merged", "--out", "exported").assert_ok()
    assert "all classified alike" in result.out
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    model = AutoModelForAudioClassification.from_pretrained(trained.path / "exported")
    assert model.config.id2label == {0: "high", 1: "low", 2: "mid"}
    assert AutoFeatureExtractor.from_pretrained(trained.path / "exported").sampling_rate == 16_000
    texts = trained.run("transcribe", "sounds/test/low/0.wav", "--model", "exported").assert_code(1)
    assert "classifies: it writes no text" in texts.err


def test_an_adapter_keeps_its_classes(trained: Project) -> None:
    adapter = ("train.max_steps=2", "train.eval_steps=2", "adapter.r=2", "name=lora")
    trained.run("train", "r.toml", *adapter).assert_ok()
    result = trained.run("classify", "sounds/test/low/0.wav", "--model", "runs/lora", "--json").assert_ok()
    assert set(json.loads(result.out)["scores"]) == {"high", "low", "mid"}


@pytest.mark.parametrize(
    ("counts", "overrides", "message"),
    [
        ({"low": 4}, (), "there is one class only: low"),
        ({"low": 4, "mid": 4}, ("model.class_weights.lov=2.0",), "class_weights names 'lov', which is no class"),
        ({"low": 4, "mid": 4}, ('model.labels=["a", "b"]',), "its label 'low' is none of the model's classes"),
        ({"low": 4, "mid": 4}, ('model.labels="checkpoint"',), "is no trained classifier"),
        ({"low": 4, "mid": 4}, ("model.crop_duration=0.0",), "crop_duration is 0, expected s above 0"),
        ({"low": 4, "mid": 4}, ("model.feat_proj_dropout=0.1",), "feat_proj_dropout is set, and"),
    ],
)
def test_what_cannot_be_learned_is_said(
    trained: Project, tmp_path: Path, counts: dict[str, int], overrides: tuple[str, ...], message: str
) -> None:
    sounds(tmp_path / "sounds", counts)
    root = f'data.0.root="{tmp_path / "sounds"}"'
    result = trained.run("train", "r.toml", root, *overrides, "--dry-run", "--no-doctor")
    assert result.code != 0
    assert message in result.err


def test_recordings_without_labels_are_no_training_data(trained: Project, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    soundfile.write(tmp_path / "flat" / "a.wav", np.zeros(16_000), 16_000)
    result = trained.run("train", "r.toml", f'data.0.root="{tmp_path / "flat"}"', "--dry-run", "--no-doctor")
    assert result.code != 0
    assert "no label" in result.err
