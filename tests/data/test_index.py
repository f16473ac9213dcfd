"""The table of utterances on disk: what is in it, when it is made again, and what a bad cache does."""

from __future__ import annotations

import errno
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from voxcli.api import Split, Utterance
from voxcli.data import cache, listing
from voxcli.data import index as index_module
from voxcli.data.index import IndexTable, index
from voxcli.errors import DataError

RATE = 16000


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    index_module._tell.cache_clear()
    cache._own_folder.cache_clear()
    return tmp_path / "cache"


class Rows:
    """A data set of the utterances it is given, which counts how often it is listed."""

    def __init__(self, *utterances: Utterance) -> None:
        self.rows, self.listed = utterances, 0

    def utterances(self, split: Split) -> Iterator[Utterance]:
        self.listed += 1
        return iter(self.rows if split == "train" else ())


class Known(Rows):
    """The same with a fingerprint."""

    def fingerprint(self, split: Split) -> str:
        return "known"


class Tone:
    """Audio that is computed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> tuple[np.ndarray, int]:
        return np.zeros(round(self.seconds * RATE), np.float32), RATE


class Broken:
    def __call__(self) -> tuple[np.ndarray, int]:
        raise KeyError("speech")


class Cheap(Tone):
    def duration(self) -> float:
        return 7.0


def wav(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * RATE), np.float32), RATE)
    return path


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    full = Utterance(
        id="a",
        audio=wav(tmp_path / "a.wav", 2.0),
        offset=0.5,
        duration=1.25,
        text="Şık",
        label="x",
        speaker="s",
        language="tr",
    )
    bare = Utterance(id="b", audio=wav(tmp_path / "b.wav", 3.0))
    table = index(Rows(full, bare), "train")
    assert len(table) == 2
    assert table.utterance(0) == full
    assert table.utterance(1) == bare.replace(duration=3.0)
    assert table.utterance(-1).id == "b"
    assert table.durations.dtype == np.float32
    assert table.durations.tolist() == [1.25, 3.0]
    assert table.column("text").to_pylist() == ["Şık", None]
    with pytest.raises(IndexError):
        table.utterance(2)


def test_a_split_that_does_not_exist_is_empty() -> None:
    table = index(Rows(), "test")
    assert len(table) == 0
    assert table.durations.shape == (0,)


def test_the_length_from_the_header_begins_at_the_offset(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", 3.0)
    rows = [Utterance(id=str(offset), audio=path, offset=offset) for offset in (0.0, 1.0, 5.0)]
    table = index(Rows(*rows), "train")
    np.testing.assert_allclose(table.durations, [3.0, 2.0, np.nan])
    assert table.column("problem").to_pylist()[2] == f"{path} is 3.00 s long, and the utterance begins at 5.00 s"


def test_callables_are_asked_for_their_length() -> None:
    rows = [Utterance(id="t", audio=Tone(2.0)), Utterance(id="c", audio=Cheap(2.0)), Utterance(id="b", audio=Broken())]
    table = index(Rows(*rows), "train")
    np.testing.assert_allclose(table.durations, [2.0, 7.0, np.nan])
    assert table.column("problem").to_pylist() == [None, None, "KeyError: 'speech'"]
    audio = table.utterance(0).audio
    assert isinstance(audio, Tone)
    assert audio.seconds == 2.0


def test_a_callable_that_cannot_travel_is_refused() -> None:
    with pytest.raises(DataError, match="audio of utterance 'x' cannot be handed to other processes"):
        index(Rows(Utterance(id="x", audio=lambda: (np.zeros(1), 1))), "train")


def test_files_that_cannot_be_used_keep_their_row_and_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "noise.wav").write_bytes(b"no audio at all" * 9)
    names = ["missing.wav", "empty.wav", "noise.wav", "."]
    rows = [Utterance(id=name, audio=tmp_path / name, duration=1.0 if name != "noise.wav" else None) for name in names]
    table = index(Rows(*rows, Utterance(id="good", audio=wav(tmp_path / "good.wav"))), "train")
    assert table.n_problems == 4
    problems = table.column("problem").to_pylist()
    for problem, expected in zip(problems, ["does not exist", "is empty", "is not audio", "is a folder"], strict=False):
        assert expected in problem
    assert problems[4] is None


def test_a_million_rows_would_not_be_listed_twice(tmp_path: Path) -> None:
    rows = Rows(Utterance(id="a", audio=wav(tmp_path / "a.wav")))
    known = Known(*rows.rows)
    for dataset in (rows, known):
        first, second = index(dataset, "train"), index(dataset, "train")
        assert first.path == second.path
    assert (rows.listed, known.listed) == (2, 1), "only without a fingerprint the source is listed again"


def test_headers_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.data import measure

    rows = Rows(Utterance(id="a", audio=wav(tmp_path / "a.wav")))
    index(rows, "train")
    monkeypatch.setattr(measure, "header", None)
    assert index(rows, "train").durations.tolist() == [1.0]


def test_other_content_is_another_index(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav")
    one = index(Rows(Utterance(id="a", audio=path, text="x")), "train")
    other = index(Rows(Utterance(id="a", audio=path, text="y")), "train")
    assert one.path != other.path


def test_a_file_that_appears_later_is_found(tmp_path: Path) -> None:
    dataset = Known(Utterance(id="a", audio=tmp_path / "a.wav"), Utterance(id="b", audio=wav(tmp_path / "b.wav")))
    assert index(dataset, "train").n_problems == 1
    wav(tmp_path / "a.wav", 2.0)
    table = index(dataset, "train")
    assert table.n_problems == 0
    assert table.durations.tolist() == [2.0, 1.0]
    assert dataset.listed == 1


def test_a_file_that_was_mended_is_looked_at_again(tmp_path: Path) -> None:
    import os
    import time

    (tmp_path / "a.wav").write_bytes(b"half a file")
    dataset = Known(Utterance(id="a", audio=tmp_path / "a.wav"))
    table = index(dataset, "train")
    assert table.n_problems == 1
    os.utime(table.path, (time.time() - 60, time.time() - 60))
    wav(tmp_path / "a.wav")
    assert index(dataset, "train").n_problems == 0


@pytest.mark.parametrize("stated", [None, 1.0])
def test_a_duration_from_a_header_follows_its_file(tmp_path: Path, stated: float | None) -> None:
    import os
    import time

    dataset = Known(Utterance(id="a", audio=wav(tmp_path / "a.wav"), duration=stated))
    table = index(dataset, "train")
    assert table.column("measured").to_pylist() == [stated is None]
    os.utime(table.path, (time.time() - 60, time.time() - 60))
    wav(tmp_path / "a.wav", 2.5)
    again = index(dataset, "train")
    assert again.durations.tolist() == [2.5 if stated is None else 1.0]
    assert again.column("measured").to_pylist() == [stated is None]
    assert dataset.listed == 1


def test_ids_that_occur_twice_are_told_apart_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = wav(tmp_path / "a.wav")
    ids = ["x", "y", "x", "x#2", "x", "z", "z"]
    dataset = Known(*(Utterance(id=id, audio=path) for id in ids))
    table = index(dataset, "train")
    assert table.column("id").to_pylist() == ["x", "y", "x#3", "x#2", "x#4", "z", "z#2"]
    expected = "2 ids stand for more than one utterance of the train split: 'x' (3 times), 'z' (2 times)"
    assert expected in caplog.text
    caplog.clear()
    index(dataset, "train")
    assert expected not in caplog.text, "once a process is enough"
    assert table.notes
    assert expected in index(dataset, "train").notes[0]


def test_many_rows_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ROWS", 7)
    monkeypatch.setattr(index_module, "ROWS", 7)
    path = wav(tmp_path / "a.wav")
    rows = [Utterance(id=f"u{n}", audio=path, duration=float(n + 1)) for n in range(40)]
    table = index(Rows(*rows), "train")
    assert [table.utterance(n) for n in range(40)] == rows


def test_a_table_travels_as_its_path(tmp_path: Path) -> None:
    table = index(Rows(Utterance(id="a", audio=wav(tmp_path / "a.wav"))), "train")
    assert len(pickle.dumps(table)) < 1000
    assert pickle.loads(pickle.dumps(table)).utterance(0) == table.utterance(0)


def test_text_that_has_no_utf_8_is_replaced(tmp_path: Path) -> None:
    table = index(Rows(Utterance(id="a", audio=wav(tmp_path / "a.wav"), text="a\ud800b")), "train")
    assert table.utterance(0).text == "a?b"


# --------------------------------------------------------------------------------------------------------- a bad cache


@pytest.mark.parametrize("harm", ["empty", "text", "cut", "other table"])
def test_a_cache_file_that_is_no_index_is_made_anew(tmp_path: Path, harm: str) -> None:
    dataset = Known(Utterance(id="a", audio=wav(tmp_path / "a.wav")))
    path = index(dataset, "train").path
    data = path.read_bytes()
    path.unlink()  # the table above still has it mapped
    if harm == "other table":
        table = pa.table({"a": [1]})
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        path.write_bytes({"empty": b"", "text": b"hello" * 100, "cut": data[: len(data) // 2]}[harm])
    assert index(dataset, "train").utterance(0).duration == 1.0
    assert IndexTable(path).durations.tolist() == [1.0]


@pytest.mark.parametrize("harm", ["a file in its place", "a read-only disk"])
def test_a_cache_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    if harm == "a file in its place":
        own_cache.write_text("in the way")
    else:
        original = cache.tempfile.TemporaryFile

        def refuse(*, dir: Path) -> object:
            if dir.is_relative_to(own_cache):
                raise OSError(errno.EROFS, "Read-only file system")
            return original(dir=dir)

        monkeypatch.setattr(cache.tempfile, "TemporaryFile", refuse)
    dataset = Known(Utterance(id="a", audio=wav(tmp_path / "a.wav")))
    with caplog.at_level(logging.WARNING):
        table = index(dataset, "train")
    assert table.durations.tolist() == [1.0]
    assert not table.path.is_relative_to(own_cache)
    assert f"the cache folder {own_cache} cannot be written" in caplog.text
    assert "VOX_CACHE" in caplog.text
    assert index(dataset, "train").path == table.path
    assert dataset.listed == 1, "kept for as long as the process lives"


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def write_batch(self, batch: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(pa.ipc, "new_file", lambda *args: Full())
    with pytest.raises(DataError, match="cannot be written: No space left on device") as caught:
        index(Rows(Utterance(id="a", audio=wav(tmp_path / "a.wav"))), "train")
    assert "VOX_CACHE" in (caught.value.help or "")
    assert list(own_cache.rglob("*.*")) == []


def test_nothing_is_left_when_the_source_breaks_off(own_cache: Path) -> None:
    class Breaks:
        def utterances(self, split: Split) -> Iterator[Utterance]:
            yield Utterance(id="a", audio=Path("a.wav"))
            raise DataError("the source broke off")

    with pytest.raises(DataError, match="broke off"):
        index(Breaks(), "train")
    assert list(own_cache.rglob("*.*")) == []


def test_progress_counts_every_row(tmp_path: Path) -> None:
    told: list[tuple[str, float | None, float]] = []

    class Bar:
        def __init__(self, description: str, total: float | None) -> None:
            self.description, self.total, self.done = description, total, 0.0

        def advance(self, amount: float = 1, **facts: object) -> None:
            self.done += amount

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *args: object) -> None:
            told.append((self.description, self.total, self.done))

    class Watch:
        def say(self, text: str) -> None:
            pass

        def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
            return Bar(description, total)

    path = wav(tmp_path / "a.wav")
    index(Rows(*(Utterance(id=str(n), audio=path) for n in range(600))), "train", progress=Watch())
    assert told == [("listing the train split", None, 600), ("looking at audio files", 600, 600)]
