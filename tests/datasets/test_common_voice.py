"""A release of Common Voice in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.datasets.common_voice import CommonVoice
from voxcli.errors import DataError

COLUMNS = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment"


def part(root: Path, name: str, *clips: tuple[str, str]) -> None:
    rows = [f"speaker of {clip}\t{clip}\t{sentence}\t2\t0\t\t\t\ttr\t" for clip, sentence in clips]
    (root / f"{name}.tsv").write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tmp_path = tmp_path / "cv-corpus/tr"
    tmp_path.mkdir(parents=True)
    part(tmp_path, "train", ("cv_1.mp3", "Bir"), ("cv_2", '"İki" dedi'))
    part(tmp_path, "dev", ("cv_3.mp3", "Üç"))
    part(tmp_path, "test", ("cv_4.mp3", 'Dört"'))
    part(tmp_path, "other", ("cv_5.mp3", "Beş"), ("cv_1.mp3", "Bir"))
    part(tmp_path, "validated", *((f"cv_{n}.mp3", "x") for n in (1, 2, 3, 4)))
    (tmp_path / "clip_durations.tsv").write_text("clip\tduration[ms]\ncv_1.mp3\t4104\ncv_2.mp3\t2500\n")
    return tmp_path


def ids(dataset: CommonVoice, split: str = "train") -> list[str]:
    return [u.id for u in dataset.utterances(split)]  # type: ignore[arg-type]


def test_a_release_has_its_own_splits(root: Path) -> None:
    dataset = CommonVoice(root=root)
    assert [ids(dataset, split) for split in ("train", "validation", "test")] == [
        ["cv_1.mp3", "cv_2.mp3"],
        ["cv_3.mp3"],
        ["cv_4.mp3"],
    ]
    assert dataset.splits_present() == ("train", "validation", "test")
    first, second = dataset.utterances("train")
    assert (first.audio, first.language, first.speaker) == (root / "clips/cv_1.mp3", "tr", "speaker of cv_1.mp3")
    assert first.duration == pytest.approx(4.104)
    assert second.text == '"İki" dedi', "nothing in these files is quoted"
    assert next(dataset.utterances("validation")).duration is None


def test_parts_are_joined_and_a_clip_is_taken_once(root: Path) -> None:
    dataset = CommonVoice(root=root, splits={"train": ("train", "other")})
    assert ids(dataset) == ["cv_1.mp3", "cv_2.mp3", "cv_5.mp3"]


def test_validated_never_brings_test_clips_into_training(root: Path) -> None:
    assert ids(CommonVoice(root=root, splits={"train": ("validated",)})) == ["cv_1.mp3", "cv_2.mp3"]


def test_a_part_given_to_another_split_is_not_used_twice(root: Path) -> None:
    dataset = CommonVoice(root=root, splits={"train": ("train", "dev")})
    assert ids(dataset) == ["cv_1.mp3", "cv_2.mp3", "cv_3.mp3"]
    assert ids(dataset, "validation") == []
    assert dataset.splits_present() == ("train", "test")


def test_a_misspelt_part_lists_those_there_are(root: Path) -> None:
    with pytest.raises(DataError, match="has no part 'othr'") as caught:
        ids(CommonVoice(root=root, splits={"train": ("othr",)}))
    assert caught.value.help == "did you mean 'other'? its parts: dev, other, test, train, validated"


def test_the_folder_above_the_language_is_recognised(root: Path) -> None:
    with pytest.raises(DataError, match="is no Common Voice release") as caught:
        ids(CommonVoice(root=root.parent))
    assert f"did you mean {root}" in (caught.value.help or "")


def test_another_table_is_no_common_voice(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("file\ttext\na.wav\thi\n")
    with pytest.raises(DataError, match="has no column 'path'") as caught:
        ids(CommonVoice(root=tmp_path))
    assert 'type = "manifest"' in (caught.value.help or "")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        ids(CommonVoice(root=tmp_path / "tr"))


def test_the_fingerprint_follows_the_parts(root: Path) -> None:
    dataset = CommonVoice(root=root)
    first = dataset.fingerprint("train")
    assert first == dataset.fingerprint("train")
    part(root, "test", ("cv_2.mp3", "İki"))
    assert first != dataset.fingerprint("train"), "what the test split takes, the training split loses"
