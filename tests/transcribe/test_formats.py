"""Every format against its exact text."""

from __future__ import annotations

import json

import pytest

from voxcli.api import Segment, Transcript, Word
from voxcli.transcribe.formats import FORMATS, chosen, clock

TALK = Transcript(
    " Hello & welcome. We <begin> --> now.",
    segments=(
        Segment(" Hello & welcome.", 0.0, 1.5, (Word("Hello", 0.1, 0.6, 0.98765), Word("&", 0.6, 0.7))),
        Segment("We <begin>\t--> now.", 3661.9996, 3662.25),
    ),
    language="en",
    duration=3663.0,
)


def test_txt_is_a_line_a_segment() -> None:
    assert FORMATS["txt"](TALK) == "Hello & welcome.\nWe <begin>\t--> now.\n"
    assert FORMATS["txt"](Transcript(" one text ")) == "one text\n"
    assert FORMATS["txt"](Transcript("")) == ""


def test_srt() -> None:
    assert FORMATS["srt"](TALK) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello & welcome.\n\n2\n01:01:02,000 --> 01:01:02,250\nWe <begin> -> now.\n"
    )


def test_vtt() -> None:
    assert FORMATS["vtt"](TALK) == (
        "WEBVTT\n\n00:00.000 --> 00:01.500\nHello &amp; welcome.\n"
        "\n01:01:02.000 --> 01:01:02.250\nWe &lt;begin&gt; --&gt; now.\n"
    )


def test_tsv_is_in_milliseconds() -> None:
    assert FORMATS["tsv"](TALK) == (
        "start\tend\ttext\n0\t1500\tHello & welcome.\n3662000\t3662250\tWe <begin> --> now.\n"
    )


def test_json() -> None:
    assert json.loads(FORMATS["json"](TALK)) == {
        "text": " Hello & welcome. We <begin> --> now.",
        "language": "en",
        "duration": 3663.0,
        "segments": [
            {
                "id": 0,
                "start": 0.0,
                "end": 1.5,
                "text": "Hello & welcome.",
                "words": [
                    {"word": "Hello", "start": 0.1, "end": 0.6, "probability": 0.9877},
                    {"word": "&", "start": 0.6, "end": 0.7},
                ],
            },
            {"id": 1, "start": 3662.0, "end": 3662.25, "text": "We <begin>\t--> now."},
        ],
    }


def test_a_text_without_segments_lasts_as_long_as_its_audio() -> None:
    assert FORMATS["srt"](Transcript("Evet.", duration=2.0)) == "1\n00:00:00,000 --> 00:00:02,000\nEvet.\n"


@pytest.mark.parametrize(("name", "text"), [("srt", ""), ("vtt", "WEBVTT\n"), ("tsv", "start\tend\ttext\n")])
def test_silence_is_an_empty_file_of_its_format(name: str, text: str) -> None:
    assert FORMATS[name](Transcript("", duration=3.0)) == text


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0.0, "00:00.000", "00:00:00.000"),
        (0.0004, "00:00.000", "00:00:00.000"),
        (59.9996, "01:00.000", "00:01:00.000"),
        (3599.9999, "01:00:00.000", "01:00:00.000"),
        (-0.02, "00:00.000", "00:00:00.000"),
        (360000.5, "100:00:00.500", "100:00:00.500"),
    ],
)
def test_clock_rounds_before_it_splits(seconds: float, short: str, long: str) -> None:
    assert clock(seconds, ".") == short
    assert clock(seconds, ".", hours=True) == long


def test_all_is_every_format() -> None:
    assert chosen("all") == ("txt", "srt", "vtt", "tsv", "json")
    assert chosen("srt") == ("srt",)
