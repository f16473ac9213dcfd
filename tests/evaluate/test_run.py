"""Scores of a table and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from voxcli.api import Decoding, Utterance
from voxcli.errors import DataError, UsageError
from voxcli.evaluate.run import evaluate


def test_files_hold_every_utterance_in_the_tables_order(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type, tmp_path: Path
) -> None:
    gone = Utterance(id="gone", audio=tmp_path / "gone.wav", duration=1.0, text="x", speaker="bob")
    rows = table(
        [
            clip("first", 0.5, speaker="ann", language="en", text="Five hundred MS!"),
            gone,
            clip("second", 1.5, speaker="bob", language="tr"),
            clip("third", 1.0, speaker="bob", language="tr"),
        ]
    )
    scores = evaluate(model, rows, out=tmp_path / "out", facts={"model": "tiny"})
    lines = [json.loads(line) for line in (tmp_path / "out" / "utterances.jsonl").read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["first", "second", "third"]
    assert lines[0]["normalised"]["reference"] == "500 ms"  # Whisper's rules for English
    assert lines[0]["normalised"]["wer"] == 0.0
    assert lines[0]["raw"]["wer"] == 1.0
    assert lines[1]["hypothesis"] == "1500 ms"
    assert (lines[1]["speaker"], lines[1]["language"], lines[1]["duration"]) == ("bob", "tr", 1.5)

    written = json.loads((tmp_path / "out" / "scores.json").read_text("utf-8"))
    assert written["model"] == "tiny"
    assert written["utterances"] == 3
    assert written["skipped"] == [{"id": "gone", "reason": f"{tmp_path}/gone.wav does not exist"}]
    for text in ("raw", "normalised"):
        for name in ("substitutions", "deletions", "insertions", "hits"):
            assert written[text]["wer"][name] == sum(line[text]["words"][name] for line in lines)
    assert scores.rates["raw", "wer"].value == pytest.approx(3 / 7)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scores.json", "utterances.jsonl"]


def test_a_translation_is_scored_as_english(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type
) -> None:
    rows = table([clip("a", 0.5, language="tr", text="five hundred ms")])
    assert evaluate(model, rows).rates["normalised", "wer"].counts.errors == 2
    assert evaluate(model, rows, decoding=Decoding(task="translate")).rates["normalised", "wer"].counts.errors == 0


def test_nothing_readable_is_an_error_that_says_why(model: SimpleNamespace, table: type, tmp_path: Path) -> None:
    rows = table([Utterance(id="gone", audio=tmp_path / "gone.wav", duration=1.0, text="x")])
    with pytest.raises(DataError, match=r"none of the 1 utterances could be read, the first because: .*gone\.wav"):
        evaluate(model, rows, out=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_that_cannot_be_written_is_said_before_the_work(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot write into"):
        evaluate(model, table([clip("a", 1.0)]), out=tmp_path / "file" / "out")
    assert model.task.batches == []
