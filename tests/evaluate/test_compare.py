"""Two models on the same utterances."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voxcli.api import Decoding, Utterance
from voxcli.evaluate.compare import compare, lines
from voxcli.evaluate.scores import Scored, Scores, Tally


def scores(hypotheses: dict[str, str]) -> Scores:
    tally = Tally(examples=2)
    for name, hypothesis in hypotheses.items():
        utterance = Utterance(id=name, audio=Path("x.wav"), duration=1.0, text="one two three")
        tally.add(Scored.of(utterance, hypothesis, "one two three", hypothesis))
    return tally.scores(decoding=Decoding(), seconds=1.0)


def test_utterances_are_matched_by_id() -> None:
    before = scores({"a": "one", "b": "", "c": "one two three", "gone": "x"})
    after = scores({"c": "one two three", "b": "one two", "a": "one two"})
    got = compare(before, after).differences["raw", "wer"]
    assert got.value == pytest.approx((1 + 1 + 0 - (2 + 3 + 0)) / 9)
    assert got.better > 0.9


def test_what_is_shown() -> None:
    before, after = scores({"a": "one", "b": ""}), scores({"a": "one two three", "b": "one two"})
    got = list(lines(compare(before, after)))
    assert got[0] == "                before %  after %  change            95 %  better in"
    assert got[1] == "WER raw             83.3     16.7   -66.7  -66.7 to -66.7      100 %"
    assert sorted(line for line in got if line and not line.startswith((" ", "WER", "CER"))) == ["a", "b"]
    at = got.index("b")
    assert got[at + 1 : at + 4] == ["  reference  one two three", "  before     ", "  after      one two"]


def test_models_without_an_utterance_in_common() -> None:
    got = compare(scores({"a": "one"}), scores({"b": "one"}))
    assert set(got.differences.values()) == {None}
    json.dumps(got.as_json(), allow_nan=False)
    assert "-" in list(lines(got))[1]
