"""Folders as people have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voxcli.api import Utterance
from voxcli.datasets.audio_folder import AudioFolder
from voxcli.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def listed(dataset: AudioFolder, split: str = "train") -> list[tuple[str, str | None, str | None]]:
    return [(u.id, u.text, u.label) for u in dataset.utterances(split)]  # type: ignore[arg-type]


def test_librispeech(tmp_path: Path) -> None:
    root = touch(tmp_path, "dev-clean/84/121/84-121-0000.flac", "train-clean-100/7/9/7-9-0001.flac", "BOOKS.TXT")
    (root / "dev-clean/84/121/84-121.trans.txt").write_text("84-121-0000 GO DO YOU HEAR\n")
    (root / "train-clean-100/7/9/7-9.trans.txt").write_text("7-9-0001 HELLO\n7-9-0002 MISSING\n")
    dataset = AudioFolder(root=root, language="en")
    assert list(dataset.utterances("validation")) == [
        Utterance(
            id="dev-clean/84/121/84-121-0000.flac",
            audio=root / "dev-clean/84/121/84-121-0000.flac",
            text="GO DO YOU HEAR",
            speaker="84",
            language="en",
        )
    ]
    assert listed(dataset) == [("train-clean-100/7/9/7-9-0001.flac", "HELLO", None)]
    assert dataset.splits_present() == ("train", "validation")


def test_an_unpacked_archive_with_one_folder_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "LibriSpeech/train-other/1/2/1-2-0000.flac", "LibriSpeech/test-clean/1/2/1-2-0000.flac")
    assert AudioFolder(root=tmp_path).splits_present() == ("train", "test")


def test_text_files_beside_the_audio(tmp_path: Path) -> None:
    root = touch(tmp_path, "b.WAV", "sub/a.ogg", "sub/nothing.mp3", "notes.md", ".hidden.wav")
    (root / "b.txt").write_text("\ufeffTwo words\n", encoding="utf-8")
    (root / "sub/a.txt").write_text("Kaç?")
    assert listed(AudioFolder(root=root)) == [
        ("b.WAV", "Two words", None),
        ("sub/a.ogg", "Kaç?", None),
        ("sub/nothing.mp3", None, None),
    ]


def test_folders_are_labels_where_nothing_is_written(tmp_path: Path) -> None:
    root = touch(tmp_path, "yes/1.wav", "no/1.wav", "no/2.wav")
    assert listed(AudioFolder(root=root)) == [
        ("no/1.wav", None, "no"),
        ("no/2.wav", None, "no"),
        ("yes/1.wav", None, "yes"),
    ]
    assert {label for _, _, label in listed(AudioFolder(root=root, content="text"))} == {None}


def test_labels_inside_split_folders(tmp_path: Path) -> None:
    root = touch(tmp_path, "train/yes/1.wav", "valid/no/1.wav", "test/no/2.wav", "train/3.wav")
    assert listed(AudioFolder(root=root)) == [("train/3.wav", None, None), ("train/yes/1.wav", None, "yes")]
    assert listed(AudioFolder(root=root), "validation") == [("valid/no/1.wav", None, "no")]


def test_a_label_called_test_is_no_split(tmp_path: Path) -> None:
    root = touch(tmp_path, "yes/1.wav", "no/1.wav", "test/1.wav")
    assert [label for _, _, label in listed(AudioFolder(root=root))] == ["no", "test", "yes"]


def test_one_folder_called_like_a_split_is_that_split(tmp_path: Path) -> None:
    root = touch(tmp_path, "test-clean/1/2/1-2-0000.flac")
    assert AudioFolder(root=root).splits_present() == ("test",)


def test_folders_that_are_no_split_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = touch(tmp_path, "train/a.wav", "dev/b.wav", "old/c.wav")
    assert len(listed(AudioFolder(root=root))) == 1
    assert "folders that are no split are left out: old" in caplog.text
    assert len(listed(AudioFolder(root=root, splits={"train": ("train", "old")}))) == 2


def test_a_table_beside_the_audio_is_pointed_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    listed(AudioFolder(root=touch(tmp_path, "a.wav", "metadata.csv")))
    assert 'metadata.csv is not read: `type = "manifest"`' in caplog.text


@pytest.mark.parametrize(
    ("names", "settings", "expected"),
    [
        (["a.docx"], {}, "no audio in"),
        (["train/a.wav", "dev/a.wav"], {"splits": {"train": ("trian",)}}, "has no folder 'trian'"),
    ],
)
def test_complaints(tmp_path: Path, names: list[str], settings: dict, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        listed(AudioFolder(root=touch(tmp_path, *names), **settings))


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        listed(AudioFolder(root=tmp_path / "none"))
    with pytest.raises(DataError, match="is a file, not a folder"):
        listed(AudioFolder(root=touch(tmp_path, "a.wav") / "a.wav"))


def test_the_fingerprint_follows_names_and_changes(tmp_path: Path) -> None:
    root = touch(tmp_path, "a.wav")
    dataset = AudioFolder(root=root)
    first = dataset.fingerprint("train")
    assert first == dataset.fingerprint("train")
    os.utime(root / "a.wav", (1, 1))
    second = dataset.fingerprint("train")
    touch(root, "b.wav")
    assert len({first, second, dataset.fingerprint("train")}) == 3
