"""Transcripts of a table: every row once, batches bounded, bad audio left out by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from voxcli.api import Decoding, Utterance
from voxcli.evaluate.predict import predict

DURATIONS = {"a": 0.5, "b": 1.75, "c": 0.25, "d": 1.0, "e": 0.5, "f": 2.0}


def texts(model: SimpleNamespace, rows: Any, *args: Any, **options: Any) -> dict[str, str]:
    done = predict(model.bundle, model.task, rows, *args, decoding=Decoding(), **options)
    return {utterance.id: transcript.text for utterance, transcript in done}


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_row_once_longest_first(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type, num_workers: int
) -> None:
    rows = table(clip(name, duration) for name, duration in DURATIONS.items())
    got = texts(model, rows, batch_duration=2.0, num_workers=num_workers)
    assert got == {name: f"{duration * 1000:.0f} ms" for name, duration in DURATIONS.items()}
    assert list(got) == ["f", "b", "d", "a", "e", "c"]
    assert model.task.batches == [1, 1, 2, 2]  # 2 s; 1.75 s; 1 + 0.5 s, padded 2 s; 0.5 + 0.25 s


def test_rows_can_be_chosen(model: SimpleNamespace, clip: Callable[..., Utterance], table: type) -> None:
    rows = table(clip(name, duration) for name, duration in DURATIONS.items())
    assert texts(model, rows, [4, 2]) == {"e": "500 ms", "c": "250 ms"}


def test_long_clips_are_transcribed_whole_and_short_ones_filled_up(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type
) -> None:
    rows = table([clip("long", 5.0), clip("short", 0.05), clip("usual", 1.0)])
    assert texts(model, rows) == {"long": "5000 ms", "short": "100 ms", "usual": "1000 ms"}
    assert model.task.long == [5.0]


def test_unreadable_audio_is_left_out_by_name(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing of the kind")
    bad = Utterance(id="bad", audio=tmp_path / "bad.wav", duration=1.0, text="x")
    gone = Utterance(id="gone", audio=tmp_path / "gone.wav", duration=None, text="y")
    skipped: list[tuple[str, str]] = []
    assert texts(model, table([bad, clip("good", 1.0), gone]), skipped=skipped) == {"good": "1000 ms"}
    assert dict(skipped)["gone"] == f"{tmp_path}/gone.wav does not exist"
    assert [name for name, _ in skipped] == ["bad", "gone"]


def test_a_table_of_bad_audio_yields_nothing(model: SimpleNamespace, table: type, tmp_path: Path) -> None:
    rows = table([Utterance(id="gone", audio=tmp_path / "gone.wav", duration=1.0)])
    assert texts(model, rows) == {}
    assert texts(model, table([])) == {}


def test_offsets_are_honoured(model: SimpleNamespace, clip: Callable[..., Utterance], table: type) -> None:
    whole = clip("whole", 1.5)
    part = whole.replace(id="part", offset=0.5, duration=0.75)
    assert texts(model, table([whole, part])) == {"whole": "1500 ms", "part": "750 ms"}


def test_the_model_decodes_without_dropout_and_trains_as_before(
    model: SimpleNamespace, clip: Callable[..., Utterance], table: type
) -> None:
    rows = table(clip(name, duration) for name, duration in DURATIONS.items())
    before = [module.training for module in model.bundle.model.modules()]
    done = predict(model.bundle, model.task, rows, decoding=Decoding(), batch_duration=2.0)
    next(done)
    assert [module.training for module in model.bundle.model.modules()] == before == [True, True, False]
    done.close()
    assert set(model.task.modes) == {(False, False)}


def test_references_do_not_reach_the_model(model: SimpleNamespace, clip: Callable[..., Utterance], table: type) -> None:
    texts(model, table([clip("a", 1.0)]))
    assert model.task.texts == [None]
