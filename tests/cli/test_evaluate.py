"""`vox evaluate` as a person runs it, with tiny models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper

RECIPE = """
    [[data]]
    type = "manifest"
    path = "{root}/data/manifest.csv"

    [filter]
    max_duration = 60.0

    [text]
    lowercase = true

    [model]
    type = "ctc"
    checkpoint = "{root}/ctc"

    [train]
    max_steps = 1
    batch_duration = 10.0

    [evaluate]
    num_beams = 1
"""


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project()
    made.speech("data", splits={"train": 4, "validation": 1, "test": 3}, texts=["Hello there", "good morning"])
    tiny_ctc(made.path / "ctc")
    return made


def test_scores_of_another_decoder_stand_beside_the_models_own(project: Project) -> None:
    for decoder in ((), ("--decoder", "beam"), ("--decoder", "greedy")):
        project.run("evaluate", "ctc", "--data", "data", *decoder).assert_ok()
    assert {one.name for one in (project.path / "evaluation" / "ctc").iterdir()} == {"data-test", "data-test-beam"}


@pytest.mark.parametrize(
    "command", [("evaluate", "ctc", "--data", "data"), ("transcribe", "data/audio", "--model", "ctc")]
)
def test_a_decoder_that_nobody_has_is_said_before_anything_is_loaded(
    project: Project, command: tuple[str, ...]
) -> None:
    missing = project.run(*command, "--decoder", "bean").assert_code(2)
    assert missing.err == "error: no decoder is called 'bean'\n  = help: did you mean `beam`? known: beam, greedy\n"
    twice = project.run(*command, "--decoder", "beam", "--decoder", "greedy").assert_code(2)
    assert twice.err == "error: --decoder names beam and greedy\n  = help: choose one\n"


def test_what_an_engine_runs_is_no_checkpoint(project: Project) -> None:
    project.write({"onnx/vox.json": '{"exported": {"to": "onnx", "engine": "onnx"}}'})
    refused = project.run("evaluate", "onnx", "--data", "data").assert_code(1).err
    assert refused.startswith("error: onnx was exported for the engine 'onnx'")


def test_a_folder_with_a_manifest(project: Project) -> None:
    result = project.run("evaluate", "ctc", "--data", "data").assert_ok()
    lines = result.out.splitlines()
    assert lines[:3] == [
        "model     ctc",
        "data      data, test: 3 utterances, 3 s",
        "decoding  greedy, language as the model has it",
    ]
    assert lines[4].split() == ["WER", "%", "95", "%", "CER", "%", "95", "%", "words", "sub", "del", "ins"]
    assert lines[5].split()[-4] == "6"  # words of the references
    assert "worst 3 of 3" in result.out
    assert "real-time factor" in result.err
    folder = project.path / "evaluation" / "ctc" / "data-test"
    rows = [json.loads(line) for line in (folder / "utterances.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == [f"audio/test-00{number}.wav" for number in range(3)]
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert (scores["model"], scores["data"], scores["split"]) == ("ctc", "data", "test")
    assert scores["normalised"]["wer"]["length"] == 6


def test_json_on_stdout_is_all_of_stdout(project: Project) -> None:
    result = project.run("evaluate", "ctc", "--data", "data/manifest.csv", "--split", "train", "--json").assert_ok()
    scores = json.loads(result.out)
    assert scores["utterances"] == 4
    assert scores["decoding"]["num_beams"] == 1
    assert Path(scores["folder"]) == Path("evaluation/ctc/data-train")


def run_folder(project: Project) -> Path:
    """A run as training leaves it: its recipe, one checkpoint, and `best`."""
    from voxcli.recipe import render
    from voxcli.recipe.resolve import resolve

    project.write({"mine.toml": RECIPE.format(root=project.path)})
    run = project.path / "runs" / "mine"
    checkpoint = run / "checkpoints" / "step-000007"
    shutil.copytree(project.path / "ctc", checkpoint)
    (run / "best").symlink_to(Path("checkpoints") / "step-000007")
    resolved = resolve(project.path / "mine.toml")
    (run / "recipe.toml").write_text(render.toml(resolved.tables, {}), encoding="utf-8")
    return run


def test_a_run_is_scored_on_its_own_data_and_keeps_the_scores(project: Project) -> None:
    run = run_folder(project)
    result = project.run("evaluate", "runs/mine").assert_ok()
    assert "data      mine, test: 3 utterances" in result.out
    assert result.err.endswith("every utterance is in runs/mine/evaluation/test-step-000007\n")
    assert (run / "evaluation" / "test-step-000007" / "scores.json").is_file()
    project.run("evaluate", "runs/mine/checkpoints/step-000007", "--split", "validation").assert_ok()
    assert (run / "evaluation" / "validation-step-000007" / "utterances.jsonl").is_file()
    project.run("evaluate", "runs/mine", "--data", "data").assert_ok()
    assert (run / "evaluation" / "data-test-step-000007" / "scores.json").is_file()
    project.run("evaluate", "runs/mine", "--data", "mine.toml", "--output-dir", "elsewhere").assert_ok()
    assert (project.path / "elsewhere" / "scores.json").is_file()


def test_a_baseline_is_compared_on_the_same_utterances(project: Project) -> None:
    tiny_ctc(project.path / "other", seed=5)
    result = project.run("evaluate", "ctc", "--data", "data", "--baseline", "other", "--examples", "2").assert_ok()
    assert "before: other\nafter:  ctc\n" in result.out
    assert result.out.count("  reference  ") == result.out.count("  before     ") == 2
    assert (project.path / "evaluation" / "ctc" / "data-test-baseline-other" / "utterances.jsonl").is_file()
    same = project.run("evaluate", "ctc", "--data", "data", "--baseline", "ctc", "--json").assert_ok()
    assert json.loads(same.out)["baseline"]["normalised"]["cer"]["difference"] == 0.0


def test_an_empty_split_says_which_there_are(project: Project) -> None:
    project.speech("no-test", splits={"train": 2, "validation": 1})
    result = project.run("evaluate", "ctc", "--data", "no-test").assert_code(1)
    assert "error: there is nothing to evaluate in the test split of no-test" in result.err
    assert "= help: it has train (2 utterances, " in result.err
    assert "validation (1 utterances, " in result.err
    assert "choose one with --split train" in result.err


def test_what_a_filter_leaves_out_is_said(project: Project) -> None:
    project.write({"mine.toml": RECIPE.format(root=project.path).replace("60.0", "0.1")})
    result = project.run("evaluate", "ctc", "--data", "mine.toml").assert_code(1)
    assert "longer than [filter] max_duration = 0.1 s" in result.err


def test_an_unreadable_clip_is_named_and_counted(project: Project) -> None:
    (project.path / "data" / "audio" / "test-001.wav").write_bytes(b"gone")
    result = project.run("evaluate", "ctc", "--data", "data").assert_ok()
    assert "2 utterances" in result.out
    assert "left out audio/test-001.wav: " in result.err
    assert "not in these figures: 1 utterance whose audio cannot be read, named in " in result.out
    scores = json.loads((project.path / "evaluation" / "ctc" / "data-test" / "scores.json").read_text("utf-8"))
    assert [one["id"] for one in scores["skipped"]] == ["audio/test-001.wav"]


def test_clips_beyond_the_window_and_empty_references_are_scored(project: Project) -> None:
    project.speech("long", splits={"test": 1}, texts=["seven words of text make it so long"])
    manifest = project.path / "long" / "manifest.csv"
    rows = manifest.read_text().splitlines()
    path, duration, _, *rest = rows[1].split(",")
    manifest.write_text("\n".join([*rows, ",".join([f"./{path}", duration, "", *rest])]) + "\n")
    tiny_whisper(project.path / "whisper", window=2)
    arguments = ("evaluate", "whisper", "--data", "long", "--language", "en", "--max-new-tokens", "8", "--json")
    scores = json.loads(project.run(*arguments).assert_ok().out)
    assert float(duration) > 2.5  # beyond the window of this Whisper
    assert scores["utterances"] == 2
    assert scores["raw"]["wer"]["length"] == 8


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ctc",), 2, "error: this model is not part of a run, so its data are not known"),
        (("runs/gone",), 2, "error: there is no run 'runs/gone', so its data are not known"),
        (("ctc", "--data", "nowhere"), 2, "error: --data nowhere: there is no such file, folder or shipped recipe"),
        (("ctc", "--data", "ctc/model.safetensors"), 2, "is no recipe and no manifest"),
        (("gone/model", "--data", "data"), 1, "error: "),
        (("ctc", "--data", "data", "--split", "dev"), 2, "'dev' is not one of"),
        (("ctc", "--data", "data", "--output-dir", "ctc/config.json/x"), 2, "error: cannot write into"),
    ],
)
def test_what_cannot_be_done(project: Project, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = project.run("evaluate", *arguments).assert_code(code)
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_language_that_the_model_does_not_have(project: Project) -> None:
    tiny_whisper(project.path / "whisper")
    result = project.run("evaluate", "whisper", "--data", "data", "--language", "klingon").assert_code(1)
    assert "klingon" in result.err
    assert not (project.path / "evaluation" / "whisper" / "data-test" / "utterances.jsonl").exists()


def test_transcribe_decodes_as_evaluate_does(project: Project) -> None:
    project.run("evaluate", "ctc", "--data", "data").assert_ok()
    scored = project.path / "evaluation" / "ctc" / "data-test" / "utterances.jsonl"
    hypotheses = {row["id"]: row["hypothesis"] for row in map(json.loads, scored.read_text("utf-8").splitlines())}
    result = project.run("transcribe", "data", "--model", "ctc", "--timestamps", "none", "--json").assert_ok()
    texts = {
        str(Path(row["path"]).relative_to("data")): row["text"] for row in map(json.loads, result.out.splitlines())
    }
    assert len(hypotheses) == 3
    assert hypotheses.items() <= texts.items()


def test_the_help(project: Project, vox_snapshot: Callable[[str, str], None]) -> None:
    vox_snapshot(project.run("evaluate", "--help").assert_ok().out, "evaluate-help.txt")
