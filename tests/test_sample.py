"""What ships for a first try: its size, its licences, and that nothing held out is said in training."""

from __future__ import annotations

import csv
import re

import pytest

from voxcli.recipe.schema import TextRules
from voxcli.sample import MODEL, SPEECH
from voxcli.text.normalize import normalize

RULES = TextRules(lowercase=True, remove_punctuation=True)


def rows() -> list[dict[str, str]]:
    with (SPEECH / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def said(*splits: str) -> set[str]:
    return {normalize(row["text"], RULES) for row in rows() if row["split"] in splits}


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_what_is_held_out_is_never_said_in_training(held_out: str) -> None:
    assert said(held_out)
    assert not said(held_out) & said("train")


def test_every_recording_is_there_and_small() -> None:
    files = [SPEECH / row["path"] for row in rows()]
    assert {path.name for path in files} == {path.name for path in (SPEECH / "audio").iterdir()}
    assert sum(path.stat().st_size for path in files) < 10_000_000
    assert (MODEL / "model.safetensors").stat().st_size <= 10_000_000


@pytest.mark.parametrize("folder", [SPEECH, MODEL])
def test_licence_and_attribution_are_beside_the_files(folder) -> None:  # type: ignore[no-untyped-def]
    assert "Creative Commons" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert "Allison Smith" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_quickstart_begins_and_its_model_transcribes(vox_project) -> None:  # type: ignore[no-untyped-def]
    project = vox_project({})
    short = ["train.max_steps=2", "train.batch_duration=4.0", "evaluate.max_utterances=2"]
    project.run("train", "quickstart", *short).assert_ok()
    result = project.run("transcribe", str(SPEECH / "audio" / "vm-newpassword.flac"), "--model", "runs/quickstart")
    result.assert_ok()
    assert len(result.out.split()) > 2


def test_digits_are_words_where_they_stand_alone() -> None:
    """Not within a word: "3D" would become "threeD"."""
    assert not [row["text"] for row in rows() if re.search(r"\d|[a-z][A-Z]", row["text"])]
