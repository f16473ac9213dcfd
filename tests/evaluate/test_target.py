"""What `--data` may name, and where scores go."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.errors import UsageError
from voxcli.evaluate.target import Target, place, run_of, split_of, target
from voxcli.recipe.schema import TextRules
from voxcli.testing import write_speech


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["clips/a.mp3", "test.tsv"], "CommonVoice"),
        (["manifest.jsonl", "a.wav"], "Manifest"),
        (["metadata.csv", "a.wav"], "Manifest"),
        (["dataset_dict.json"], "HuggingFace"),
        (["1089/134686/1089-134686-0000.flac", "1089/134686/1089-134686.trans.txt"], "AudioFolder"),
    ],
)
def test_a_folder_is_looked_into(tmp_path: Path, files: list[str], kind: str) -> None:
    for name in files:
        (tmp_path / "speech" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "speech" / name).write_bytes(b"")
    got = target(str(tmp_path / "speech"), None)
    assert [type(dataset).__name__ for dataset in got.datasets] == [kind]
    assert got.name == "speech"


def test_a_manifest_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = write_speech(tmp_path / "prompts", n=1)
    assert target(str(folder / "manifest.csv"), None).name == "prompts"
    (folder / "manifest.csv").rename(folder / "dev.csv")
    assert target(str(folder / "dev.csv"), None).name == "dev"


def test_a_shipped_recipe_by_its_name() -> None:
    got = target("quickstart", None)
    assert [type(dataset).__name__ for dataset in got.datasets] == ["SampleSpeech"]


def test_scoring_needs_nothing_of_a_recipe_but_its_data(tmp_path: Path) -> None:
    """The noise of the training machine, or a base model that has gone, is no reason not to score."""
    folder = write_speech(tmp_path / "speech", n=1)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f"""
        [[data]]
        type = "manifest"
        path = "{folder / "manifest.csv"}"
        [[augment]]
        type = "noise"
        root = "{tmp_path / "gone"}"
        [model]
        type = "ctc"
        checkpoint = "{tmp_path / "gone"}"
        [train]
        max_steps = 1
        batch_duration = 20.0
        """,
        encoding="utf-8",
    )
    assert [type(dataset).__name__ for dataset in target(str(recipe), None).datasets] == ["Manifest"]


def test_nothing_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not part of a run"):
        target(None, None)


def test_the_run_that_a_checkpoint_belongs_to(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    checkpoint = run / "checkpoints" / "step-000500"
    checkpoint.mkdir(parents=True)
    (run / "recipe.toml").write_text("")
    (run / "best").symlink_to("checkpoints/step-000500")
    for folder in (run, run / "best", checkpoint):
        assert run_of(folder) == run
    assert run_of(tmp_path) is None
    assert run_of(None) is None
    of = Target("mine", ())
    assert place("runs/mine", run / "best", of, "test") == run / "evaluation" / "test-step-000500"
    other = Target("other", ())
    assert place("runs/mine", checkpoint, other, "test") == run / "evaluation" / "other-test-step-000500"


def test_a_model_outside_a_run_has_its_scores_in_the_working_directory(tmp_path: Path) -> None:
    of = Target("prompts", ())
    assert place("openai/whisper-small", None, of, "test") == Path("evaluation/openai--whisper-small/prompts-test")
    (tmp_path / "tiny").mkdir()
    assert place(str(tmp_path / "tiny"), tmp_path / "tiny", of, "test") == Path("evaluation/tiny/prompts-test")


def test_audio_with_its_transcripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    write_speech(tmp_path / "made", splits={"test": 2}, texts=["hello there"])
    folder = tmp_path / "libri" / "test-clean" / "1" / "2"
    folder.mkdir(parents=True)
    for number in range(2):
        (tmp_path / "made" / "audio" / f"test-00{number}.wav").rename(folder / f"1-2-000{number}.wav")
    (folder / "1-2.trans.txt").write_text("1-2-0000 HELLO THERE\n1-2-0001 HELLO THERE\n")
    table, notes = split_of(target(str(tmp_path / "libri"), None), "test", text=TextRules(lowercase=True))
    assert [utterance.text for utterance in table] == ["hello there"] * 2
    assert notes == []
