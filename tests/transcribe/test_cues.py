"""Subtitles of a readable size."""

from __future__ import annotations

from itertools import pairwise

import pytest

from voxcli.api import Segment, Transcript, Word
from voxcli.transcribe.cues import Cue, cues, wrap

TEXT = (
    "Thank you for calling our company, please listen carefully. "
    "For sales press one, for support press two and for everything else stay on the line."
)


def spoken(text: str, *, pace: float = 0.4, join: str = " ") -> Segment:
    words = text.split() if join == " " else list(text)
    times = tuple(Word(word, i * pace, (i + 1) * pace) for i, word in enumerate(words))
    return Segment(text, 0.0, len(words) * pace, times)


def of(segment: Segment) -> list[Cue]:
    return list(cues(Transcript(segment.text, (segment,))))


def test_a_long_segment_is_split_at_the_sentence_and_fits() -> None:
    got = of(spoken(TEXT))
    assert [cue.text for cue in got] == [
        "Thank you for calling our\ncompany, please listen carefully.",
        "For sales press one, for support press two\nand for everything else stay on the line.",
    ]
    assert (got[0].start, got[0].end) == (0.0, pytest.approx(3.6))
    assert all(len(line) <= 42 for cue in got for line in cue.text.split("\n"))


def test_parts_follow_each_other_and_say_everything() -> None:
    got = of(spoken(TEXT))
    assert " ".join(cue.text.replace("\n", " ") for cue in got) == TEXT
    assert all(before.end <= after.start for before, after in pairwise(got))
    assert got[-1].end == pytest.approx(25 * 0.4)


def test_a_pause_is_a_good_place() -> None:
    words = tuple(
        Word(f"word{i}", i * 1.0 + (9 if i > 3 else 0), i * 1.0 + 0.5 + (9 if i > 3 else 0)) for i in range(9)
    )
    segment = Segment(" ".join(word.text for word in words), 0.0, 18.0, words)
    assert [cue.text for cue in of(segment)] == ["word0 word1 word2 word3", "word4 word5 word6 word7 word8"]


def test_slow_speech_is_split_by_its_duration() -> None:
    assert [cue.text for cue in of(spoken("one two three four", pace=3.0))] == ["one two", "three four"]


def test_without_word_times_no_time_is_invented() -> None:
    (cue,) = of(Segment(TEXT, 1.0, 12.0))
    assert (cue.start, cue.end) == (1.0, 12.0)
    assert cue.text.replace("\n", " ") == TEXT
    assert all(len(line) <= 42 for line in cue.text.split("\n"))


def test_scripts_without_spaces_stay_without() -> None:
    text = "今日は良い天気ですね。" * 12
    got = of(spoken(text, pace=0.05, join=""))
    assert len(got) > 1
    assert "".join(cue.text.replace("\n", "") for cue in got) == text


def test_words_that_do_not_spell_the_text_leave_it_whole() -> None:
    (cue,) = of(Segment("Seven o'clock", 0.0, 20.0, (Word("7", 0.0, 9.0), Word("o'clock", 9.0, 20.0))))
    assert cue.text == "Seven o'clock"


def test_lines_are_even() -> None:
    assert (
        wrap("Thank you for calling our company, please wait", 42) == "Thank you for calling\nour company, please wait"
    )
    assert wrap("short", 42) == "short"
    assert wrap("x" * 50, 42) == "x" * 42 + "\n" + "x" * 8


def test_empty_segments_show_nothing() -> None:
    assert list(cues(Transcript("", (Segment("  ", 0.0, 1.0),)))) == []


def test_no_subtitle_ends_when_it_begins() -> None:
    (cue,) = of(Segment("Yes.", 2.0, 2.0))
    assert (cue.start, cue.end) == (2.0, 2.1)
