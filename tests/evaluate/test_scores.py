"""Totals, breakdowns, worst utterances and confusions."""

from __future__ import annotations

import json
from pathlib import Path

import jiwer
import pytest

from voxcli.api import Decoding, Utterance
from voxcli.evaluate.align import Counts
from voxcli.evaluate.scores import MEASURES, Scored, Scores, Tally, duration_bin

ROWS = [
    # id, duration, speaker, language, reference, hypothesis
    ("a", 0.5, "ann", "en", "Yes.", "yes"),
    ("b", 3.0, "bob", "en", "The cat sat.", "the cap sat"),
    ("c", 12.0, "ann", "en", "The cat sat on the mat", "the cap sat on a mat today"),
    ("d", 45.0, None, "tr", "Merhaba dünya", ""),
    ("e", 2.0, "bob", None, "", "thank you"),
]


def scores(rows: list[tuple] = ROWS, **options: int) -> Scores:
    tally = Tally(**options)
    for name, duration, speaker, language, reference, hypothesis in rows:
        utterance = Utterance(
            id=name, audio=Path(f"{name}.wav"), duration=duration, text=reference, speaker=speaker, language=language
        )
        plain = [text.lower().replace(".", "") for text in (reference, hypothesis)]
        tally.add(Scored.of(utterance, hypothesis, *plain))
    return tally.scores(decoding=Decoding(), seconds=2.5, skipped=[("x", "empty file")])


def test_totals_are_those_of_jiwer() -> None:
    got = scores()
    references, hypotheses = [row[4] for row in ROWS], [row[5] for row in ROWS]
    plain = [[text.lower().replace(".", "") for text in side] for side in (references, hypotheses)]
    assert got.rates["raw", "wer"].value == pytest.approx(jiwer.wer(references, hypotheses))
    assert got.rates["raw", "cer"].value == pytest.approx(jiwer.cer(references, hypotheses))
    assert got.rates["normalised", "wer"].value == pytest.approx(jiwer.wer(*plain))
    assert got.rates["normalised", "cer"].value == pytest.approx(jiwer.cer(*plain))


def test_the_interval_holds_the_rate() -> None:
    for rate in scores().rates.values():
        low, high = rate.interval
        assert low <= rate.value <= high


@pytest.mark.parametrize("breakdown", ["duration", "speaker", "language"])
def test_breakdowns_add_up_to_the_total(breakdown: str) -> None:
    got = scores()
    groups = got.breakdowns[breakdown].values()
    assert sum(group.utterances for group in groups) == got.utterances == 5
    assert sum(group.duration for group in groups) == pytest.approx(got.duration)
    for measure in MEASURES:
        assert sum((group.counts[measure] for group in groups), Counts()) == got.rates[measure].counts


def test_names_and_order_of_the_groups() -> None:
    got = scores()
    assert list(got.breakdowns["duration"]) == ["0-1 s", "2-5 s", "10-20 s", "30 s and more"]
    assert list(got.breakdowns["speaker"]) == ["ann", "bob", "unknown"]
    assert got.breakdowns["speaker"]["unknown"].counts["normalised", "wer"].rate == 1.0


def test_a_breakdown_into_one_group_is_left_out() -> None:
    assert "language" not in scores(ROWS[:3]).breakdowns


@pytest.mark.parametrize(
    ("duration", "name"), [(0.0, "0-1 s"), (1.0, "1-2 s"), (29.99, "20-30 s"), (30.0, "30 s and more")]
)
def test_edges_of_the_duration_bins(duration: float, name: str) -> None:
    assert duration_bin(duration) == name


def test_worst_first_and_only_those_with_errors() -> None:
    assert [scored.utterance.id for scored in scores().worst] == ["e", "d", "c", "b"]
    assert [scored.utterance.id for scored in scores(worst=2).worst] == ["e", "d"]


def test_equally_bad_utterances_keep_their_order() -> None:
    same = [(name, 1.0, None, None, "one two", "one") for name in "pqrst"]
    assert [scored.utterance.id for scored in scores(same, worst=3).worst] == ["p", "q", "r"]


def test_confusions_are_counted() -> None:
    assert scores().confusions == (("cat", "cap", 2), ("the", "a", 1))


def test_files_hold_no_nan() -> None:
    got = scores()
    text = json.dumps(got.as_json(), allow_nan=False)
    assert json.loads(text)["skipped"] == [{"id": "x", "reason": "empty file"}]
    line = got.worst[0].as_json()
    json.dumps(line, allow_nan=False)
    assert line["raw"]["wer"] is None
    assert line["normalised"]["alignment"] == [["insert", "", "thank you"]]


def test_nothing_to_score_is_no_crash() -> None:
    got = scores([])
    assert got.rates["raw", "wer"].value is None
    assert got.rates["raw", "wer"].interval is None
    json.dumps(got.as_json(), allow_nan=False)
