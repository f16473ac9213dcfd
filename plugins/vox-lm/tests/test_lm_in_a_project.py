"""From texts to a model, and through training, evaluation and transcription."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
name = "r"
[[data]]
type = "manifest"
path = "data/manifest.csv"
[text]
lowercase = true
[model]
type = "ctc"
checkpoint = "tiny"
vocabulary = "checkpoint"
[train]
max_steps = 1
batch_duration = 4.0
use_cpu = true
[evaluate]
metrics = ["cer"]
[decoder]
type = "lm"
path = "words.arpa"
alpha = 2.0
beam_width = 8
"""


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    """Twelve utterances, a tiny model of random weights, a recipe."""
    made = vox_project({"train.toml": RECIPE})
    made.speech("data", n=12)
    tiny_ctc(made.path / "tiny")
    return made


def test_one_decoder_everywhere(project: Project) -> None:
    built = project.run("lm", "build", "train.toml", "--out", "words.arpa", "--order", "2").assert_ok()
    assert "training transcripts" in built.err
    project.run("train", "train.toml").assert_ok()
    stored = json.loads((project.path / "runs/r/best/vox.json").read_text())["decoding"]["decoder"]
    assert (stored["type"], stored["alpha"], stored["path"]) == ("lm", 2.0, str(project.path / "words.arpa"))

    scored = project.run("evaluate", "runs/r", "--split", "validation").assert_ok()
    assert "decoder lm (path" in scored.out
    logged = [json.loads(line) for line in (project.path / "runs/r/log.jsonl").read_text().splitlines()]
    in_training = next(line["validation"]["cer"] for line in logged if "validation" in line)
    (scores,) = (project.path / "runs/r/evaluation").glob("validation-*/scores.json")
    assert json.loads(scores.read_text())["raw"]["cer"]["rate"] == pytest.approx(in_training)

    (lines,) = (project.path / "runs/r/evaluation").glob("validation-*/utterances.jsonl")
    for line in map(json.loads, lines.read_text().splitlines()):
        spoken = project.run("transcribe", f"data/{line['id']}", "--model", "runs/r", "--device", "cpu").assert_ok()
        assert spoken.out.strip() == line["hypothesis"]
    greedy = project.run("evaluate", "runs/r", "--split", "validation", "--decoder", "greedy").assert_ok()
    assert "decoding  greedy" in greedy.out


def test_another_alphabet_stops_before_the_first_step(project: Project) -> None:
    project.write({"russian.txt": "кошка сидит на окне\nсобака сидит у двери\n"})
    project.run("lm", "build", "russian.txt", "--out", "words.arpa").assert_ok()
    stopped = project.run("train", "train.toml").assert_code(1)
    assert "words.arpa is of another alphabet: the acoustic model can write 0%" in stopped.err
    assert "vox lm build RECIPE" in stopped.err
    assert not (project.path / "runs").exists()


def test_where_the_plugin_is_disabled_the_error_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.plugins.manager import forget

    monkeypatch.setenv("VOX_DISABLE_PLUGINS", "lm")
    forget()
    missing = project.run("recipe", "check", "train.toml").assert_code(2)
    assert "no decoder is called 'lm'" in missing.err
    assert "is disabled (VOX_DISABLE_PLUGINS): take it out of VOX_DISABLE_PLUGINS" in missing.err


def test_what_build_is_not_given(project: Project) -> None:
    project.write({"empty.txt": "\n \n", "latin.txt": b"\xff\xfe\x00"})
    assert "there are no words to count" in project.run("lm", "build", "empty.txt").assert_code(1).err
    assert "is not UTF-8 text" in project.run("lm", "build", "latin.txt").assert_code(1).err
    assert "there is no recipe and no text file 'nothere'" in project.run("lm", "build", "nothere").assert_code(2).err
    assert "there is no folder" in project.run("lm", "build", "train.toml", "--out", "no/lm.arpa").assert_code(2).err
