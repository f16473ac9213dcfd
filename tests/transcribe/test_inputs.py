"""Arguments of the command line -> recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.transcribe.inputs import find


def nothing() -> bytes:
    raise AssertionError("standard input was not asked for")


def names(*arguments: object) -> list[str]:
    return [source.name for source in find([str(argument) for argument in arguments], stdin=nothing)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.FLAC", "deep/er/c.opus", "notes.txt", ".hidden.wav", ".git/d.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_a_folder_is_its_audio_sorted_without_hidden_files(folder: Path) -> None:
    assert names(folder) == [f"{folder}/a.FLAC", f"{folder}/b.wav", f"{folder}/deep/er/c.opus"]
    assert [source.relative for source in find([str(folder)], stdin=nothing)][-1] == Path("deep/er/c.opus")


def test_files_keep_the_order_they_are_given_in_and_come_once(folder: Path) -> None:
    assert names(folder / "b.wav", folder, folder / "deep" / ".." / "b.wav") == [
        f"{folder}/b.wav",
        f"{folder}/a.FLAC",
        f"{folder}/deep/er/c.opus",
    ]


def test_a_file_named_by_itself_may_have_any_suffix(folder: Path) -> None:
    assert names(folder / "notes.txt", folder / ".hidden.wav") == [f"{folder}/notes.txt", f"{folder}/.hidden.wav"]


def test_a_missing_path_is_a_problem_of_its_own(folder: Path) -> None:
    missing, good = find([str(folder / "no.wav"), str(folder / "b.wav")], stdin=nothing)
    assert missing.problem == "there is no such file or folder"
    assert missing.audio is None
    assert good.problem is None


def test_a_folder_without_audio_says_what_was_looked_for(tmp_path: Path) -> None:
    (source,) = find([str(tmp_path)], stdin=nothing)
    assert source.problem.startswith("no audio in this folder (looked for .3gp ")
    assert " .wav " in source.problem


def test_standard_input(tmp_path: Path) -> None:
    (source,) = find(["-"], stdin=lambda: b"RIFF")
    assert (source.name, source.audio, source.relative) == ("stdin", b"RIFF", Path("stdin"))
