"""Names of result files, and writing them."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.api import Transcript
from voxcli.errors import UsageError
from voxcli.transcribe.inputs import Source, find
from voxcli.transcribe.outputs import beside, files, require_writable, under, write


def sources(root: Path, *names: str) -> list[Source]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return find([str(root / name) for name in names], stdin=lambda: b"")


def test_files_are_named_by_their_stem(tmp_path: Path) -> None:
    given = sources(tmp_path, "a/talk.wav", "b/other.mp3", "b/2024.05.01")
    assert under(Path("out"), given) == [Path("out/talk"), Path("out/other"), Path("out/2024.05.01")]


def test_one_stem_in_two_folders_keeps_the_folders(tmp_path: Path) -> None:
    given = sources(tmp_path, "a/x.wav", "b/c/x.wav", "y.wav")
    assert under(Path("out"), given) == [Path("out/a/x"), Path("out/b/c/x"), Path("out/y")]


def test_one_stem_in_one_folder_keeps_the_suffix(tmp_path: Path) -> None:
    given = sources(tmp_path, "x.wav", "x.mp3", "deep/x.wav")
    assert under(Path("out"), given) == [Path("out/x.wav"), Path("out/x.mp3"), Path("out/deep/x")]


def test_names_that_differ_in_case_only_are_told_apart(tmp_path: Path) -> None:
    given = sources(tmp_path, "one/Talk.wav", "two/talk.wav")
    assert under(Path("out"), given) == [Path("out/one/Talk"), Path("out/two/talk")]


def test_a_folder_keeps_its_structure(tmp_path: Path) -> None:
    sources(tmp_path / "in", "b.wav", "deep/b.wav")
    given = find([str(tmp_path / "in")], stdin=lambda: b"")
    assert under(Path("out"), given) == [Path("out/b"), Path("out/deep/b")]


def test_two_folders_of_the_same_structure_do_not_collide(tmp_path: Path) -> None:
    sources(tmp_path, "one/s/1.wav", "two/s/1.wav")
    given = find([str(tmp_path / "one"), str(tmp_path / "two")], stdin=lambda: b"")
    assert under(Path("out"), given) == [Path("out/one/s/1"), Path("out/two/s/1")]


def test_beside_the_audio(tmp_path: Path) -> None:
    given = sources(tmp_path, "a/x.wav", "b/x.wav", "b/x.ogg")
    assert beside(given) == [tmp_path / "a/x", tmp_path / "b/x.wav", tmp_path / "b/x.ogg"]


def test_standard_input_has_no_beside() -> None:
    with pytest.raises(UsageError, match="no place for standard input"):
        beside(find(["-"], stdin=lambda: b""))


def test_an_output_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"cannot write into .*file/out: Not a directory"):
        require_writable([tmp_path / "file" / "out"])
    require_writable([tmp_path / "new" / "folder"])
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stem = tmp_path / "deep" / "talk.v2"
    assert write(Transcript("Merhaba"), stem, ["txt", "tsv"]) == files(stem, ["txt", "tsv"])
    assert (tmp_path / "deep" / "talk.v2.txt").read_text(encoding="utf-8") == "Merhaba\n"

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write(Transcript("other"), stem, ["txt"])
    assert (tmp_path / "deep" / "talk.v2.txt").read_text(encoding="utf-8") == "Merhaba\n"
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["talk.v2.tsv", "talk.v2.txt"]
