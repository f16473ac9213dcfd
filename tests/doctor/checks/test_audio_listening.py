"""Which recordings are read, in small data sets and in large ones, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.api import Split, Utterance
from voxcli.doctor.audio import listening
from voxcli.doctor.audio.files import kind_of, moved, renamed
from voxcli.doctor.audio.listening import Listening, listen
from voxcli.doctor.context import Context
from voxcli.doctor.data.utterances import Data
from voxcli.doctor.subject import Subject
from voxcli.recipe.schema import Filter, Holdout, TextRules

RATE = 8000


class Tone:
    """Audio that a plugin computes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> tuple[np.ndarray, int]:
        if self.seconds == 7.0:
            raise KeyError("speech")
        return np.full(round(self.seconds * RATE), 0.1, np.float32), RATE


@dataclass
class Rows:
    rows: list[Utterance]

    def utterances(self, split: Split) -> Iterator[Utterance]:
        return iter(self.rows if split == "train" else ())


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))

    def listened(rows: list[Utterance], *, full: bool = False) -> Listening:
        context = Context(Subject(("data",), "rows"), full=full)
        context._opened["data"] = Data((Rows(rows),), TextRules(), Filter(), Holdout(), context)
        return listen(context)

    return listened


def many(folder: Path, count: int, seconds: float = 0.1) -> list[Utterance]:
    soundfile.write(folder / "a.wav", np.full(round(seconds * RATE), 0.1, np.float32), RATE)
    return [Utterance(id=f"u{n:04}", audio=folder / "a.wav", text="word", duration=seconds) for n in range(count)]


def test_a_small_data_set_is_read_whole(heard, tmp_path: Path) -> None:
    found = heard(many(tmp_path, 300))
    assert len(found.heard) == 300
    assert found.context.not_looked_at == []


def test_of_a_large_one_a_sample_is_read_and_what_stands_out(
    heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "ALL_CLIPS", 100)
    monkeypatch.setattr(listening, "HEADERS", 300)
    rows = many(tmp_path, 1000)
    rows[500] = rows[500].replace(text="many words " * 9)
    rows[700] = rows[700].replace(duration=0.01)
    found = heard(rows)
    assert 150 <= len(found.heard) <= 320
    assert {"u0500", "u0700"} <= {clip.id for clip in found.heard}
    assert [clip.id for clip in found.clips] == [clip.id for clip in heard(rows).clips], "the same each time"
    assert found.context.not_looked_at[0].startswith("the audio of ")
    assert "--full" in found.context.not_looked_at[0]
    assert len(heard(rows, full=True).heard) == 1000


def test_long_recordings_are_read_in_part(heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PIECE", 1.0)
    monkeypatch.setattr(listening, "LONGEST", 3.0)
    rows = many(tmp_path, 1, 10.0)
    assert heard(rows).heard[0].sound.duration == pytest.approx(3.0, abs=0.1)
    assert heard(rows, full=True).heard[0].sound.duration == pytest.approx(10.0)
    rows = [rows[0].replace(duration=None, offset=7.5)]
    assert heard(rows).heard[0].sound.duration == pytest.approx(2.5, abs=0.1)


def test_audio_of_plugins(heard) -> None:
    rows = [Utterance(id=f"t{n}", audio=Tone(n), text="x", duration=n) for n in (1.0, 2.0, 7.0)]
    found = heard(rows)
    assert [clip.id for clip in found.heard] == ["t1.0", "t2.0"]
    assert [str(clip.problem) for clip in found.clips if clip.problem] == ["KeyError: 'speech'"]


def test_nothing_to_listen_to(heard) -> None:
    assert heard([]).clips == []


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        ("/x/a.wav does not exist", "missing"),
        ("/x/a.wav is cut short: its end is missing", "truncated"),
        ("/x/a.wav is cut short or damaged: 1.00 s of 2.00 s can be read", "truncated"),
        ("/x/a.wav is 1.00 s long, and the utterance ends at 2.00 s", "other length"),
        ("/x/a.wav is empty (0 bytes)", "unreadable"),
        ("/x/a.wav is damaged: no data", "unreadable"),
        ("/x is a folder, not an audio file", "unreadable"),
    ],
)
def test_kinds_of_problems(problem: str, kind: str) -> None:
    assert kind_of(problem) == kind


def test_files_that_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "corpus/v2/clips/a"
    there.mkdir(parents=True)
    for number in range(4):
        (there / f"{number}.wav").touch()
    lost = [tmp_path / f"corpus/v1/clips/a/{number}.wav" for number in range(4)]
    found = moved(lost)
    assert found is not None
    assert found[1] / lost[0].relative_to(found[0]) == there / "0.wav"
    assert moved([tmp_path / "corpus/v1/clips/a/9.wav"]) is None
    assert moved([]) is None


def test_files_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a[1].flac").touch()
    assert renamed([tmp_path / "a[1].wav"]) == ".flac"
    assert renamed([tmp_path / "b.wav"]) is None
    assert renamed([tmp_path / "none/b.wav"]) is None
