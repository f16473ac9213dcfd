"""Splits of large indexes are worked out once, and never answered for other data or another question."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from voxcli.api import SPLITS, Limits, Utterance
from voxcli.data import corpus, holdout, kept, known_splits, normalized, table
from voxcli.data.corpus import Splits, load_splits
from voxcli.recipe.schema import Filter, Holdout, TextRules

LIMITS = Limits(
    sampling_rate=16000, min_duration=0.1, max_duration=30.0, stride=320, max_label_length=None, n_parameters=1
)
TOLD = ("corpus", "drops", "problems", "unknown_characters", "findings", "changes")


@dataclass(frozen=True)
class Given:
    """A data set of utterances that are given, split by split."""

    train: tuple[Utterance, ...] = ()
    validation: tuple[Utterance, ...] = ()
    test: tuple[Utterance, ...] = ()

    def utterances(self, split: str) -> Any:
        yield from getattr(self, split)

    def fingerprint(self, split: str) -> str:
        return hashlib.sha256(repr((split, getattr(self, split))).encode()).hexdigest()[:32]


class Calls:
    """How often a function of a module is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self.count = 0
        function = getattr(module, name)

        def counted(*given: Any, **named: Any) -> Any:
            self.count += 1
            return function(*given, **named)

        monkeypatch.setattr(module, name, counted)


@pytest.fixture(autouse=True)
def every_table_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "LARGE", 2)


@pytest.fixture
def data(tmp_path: Path) -> Given:
    """Texts on both sides, a missing file, a long clip, a character that training lacks."""
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.zeros(80 * 16000, np.float32), 16000)

    def say(id: str, text: str | None, duration: float = 2.0, audio: Path = sound, **more: Any) -> Utterance:
        return Utterance(id=id, audio=audio, duration=duration, text=text, **more)

    gone = tmp_path / "gone.wav"
    return Given(
        train=(
            *(say(f"t{number}", f"Phrase {'abcdefgh'[number % 8]} {number}.", speaker="s") for number in range(40)),
            say("long", "too long", 70.0),
            say("gone", "not there", audio=gone),
            say("silent", None),
            say("ü", "Größe\u0301"),
        ),
        validation=tuple(say(f"v{number}", f"phrase {'abcdefgh'[number % 8]} {number}!") for number in range(9)),
        test=(say("e1", "ж"), say("e2", "other"), say("e3", "  Phrase   a 0")),
    )


def same(one: Splits, other: Splits) -> bool:
    """Whether two loads found the same, row by row and word by word."""
    tables = [(one.split(name), other.split(name)) for name in SPLITS]
    return all(list(a) == list(b) and a.fingerprint == b.fingerprint for a, b in tables) and all(
        getattr(one, name) == getattr(other, name) for name in TOLD
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"limits": LIMITS},
        {"limits": LIMITS, "splits": ("train", "validation")},
        {"filter": Filter(max_duration=50.0, max_characters=9), "text": TextRules(lowercase=True, remove="ph.")},
        {"holdout": Holdout(validation=0.3, test=0.2)},
        {"transcripts": False},
    ],
    ids=["plain", "limits", "two", "rules", "shares", "untranscribed"],
)  # fmt: skip
def test_the_second_load_finds_the_same_without_a_look_at_the_texts(
    asked: dict[str, Any], data: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "holdout" in asked:
        data = replace(data, validation=(), test=())
    first = load_splits([data], **asked)
    assert first.findings or first.drops
    looked = [
        Calls(monkeypatch, corpus, "_divided"),
        Calls(monkeypatch, corpus, "characters"),
        Calls(monkeypatch, normalized, "by_lines"),
        Calls(monkeypatch, table, "layout"),
        Calls(monkeypatch, holdout, "hashes"),
    ]
    second = load_splits([data], **asked)
    assert second.train.fingerprint == first.train.fingerprint
    assert [calls.count for calls in looked] == [0] * 5
    assert same(first, second)


def test_texts_are_normalised_once_and_then_mapped(data: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, normalized, "by_lines")
    rules = TextRules(remove="h")
    first = corpus.list_split([data], "train", rules)
    assert calls.count == 1
    second = corpus.list_split([data], "train", rules)
    assert calls.count == 1
    assert list(first.texts) == list(second.texts) != list(first.originals)
    plain = corpus.list_split([data], "train", TextRules())
    assert calls.count == 2
    again = corpus.list_split([data], "train", TextRules())
    assert calls.count == 2
    assert list(again.texts) == list(plain.texts)


def test_texts_that_the_rules_leave_alone_are_the_indexs_own(data: Given) -> None:
    data = replace(data, train=data.train[:40])
    for _ in range(2):
        whole = corpus.list_split([data], "train", TextRules())
        mapped = [chunk.buffers()[2].address for chunk in whole.originals.array.chunks]
        assert [chunk.buffers()[2].address for chunk in whole.texts.array.chunks] == mapped


def test_other_data_or_another_question_is_looked_at(
    data: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "exclude.txt"
    listed.write_text("t1\n", encoding="utf-8")
    rules = Filter(exclude=str(listed))
    first = load_splits([data], rules, limits=LIMITS)
    calls = Calls(monkeypatch, corpus, "_divided")

    def other(change: Callable[[], Splits]) -> Splits:
        before = calls.count
        found = change()
        assert calls.count == before + 1
        return found

    other(lambda: load_splits([data], rules, limits=replace(LIMITS, max_duration=60.0)))
    other(lambda: load_splits([data], rules))
    other(lambda: load_splits([data], rules, TextRules(lowercase=True), limits=LIMITS))
    other(lambda: load_splits([data], rules, limits=LIMITS, labels=True, transcripts=False, splits=("validation",)))
    other(lambda: load_splits([data, Given(train=data.test)], rules, limits=LIMITS))
    more = other(lambda: load_splits([replace(data, train=data.train[:-1])], rules, limits=LIMITS))
    assert len(more.train) == len(first.train) - 1
    listed.write_text("t1\nt2\n", encoding="utf-8")
    fewer = other(lambda: load_splits([data], rules, limits=LIMITS))
    assert "t2" in list(first.train.ids)
    assert "t2" not in list(fewer.train.ids)
    assert calls.count == 7
    load_splits([data], rules, limits=LIMITS)
    assert calls.count == 7


def test_audio_that_appears_later_is_looked_at(data: Given, tmp_path: Path) -> None:
    assert "gone" not in list(load_splits([data]).train.ids)
    assert "gone" not in list(load_splits([data]).train.ids)
    soundfile.write(tmp_path / "gone.wav", np.zeros(4 * 16000, np.float32), 16000)
    assert "gone" in list(load_splits([data]).train.ids)


def test_clips_that_are_cut_are_cut_each_time(data: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Filter(too_long="crop", max_duration=30.0)
    first = load_splits([data], rules, transcripts=False, cut=("train",))
    assert first.changes
    calls = Calls(monkeypatch, corpus, "_divided")
    assert same(first, load_splits([data], rules, transcripts=False, cut=("train",)))
    assert calls.count == 1


def test_a_file_that_cannot_be_read_is_made_anew(data: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_splits([data], text=TextRules(remove="h"))
    found = [*(tmp_path / "cache/splits").iterdir(), *(tmp_path / "cache/texts").glob("*.arrow")]
    assert len(found) == 4
    for path in found:
        content = path.read_bytes()[:100]
        path.unlink()  # the first load has it mapped
        path.write_bytes(content)
    calls = Calls(monkeypatch, corpus, "_divided")
    for _ in range(2):
        assert same(first, load_splits([data], text=TextRules(remove="h")))
    assert calls.count == 1


def test_small_tables_leave_nothing_behind(data: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGE", 100)
    load_splits([data])
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["index"]


def test_a_table_that_is_a_part_of_an_index_has_no_name(data: Given) -> None:
    whole = corpus.list_split([data], "train")
    assert known_splits.name_of({"train": whole}, exclude=None)
    assert known_splits.name_of({"train": whole.select([0, 1, 2])}, exclude=None) is None
