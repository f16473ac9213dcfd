"""Times within a clip, from a manifest to an utterance; and what was said just before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from voxcli.api import Segment, Utterance
from voxcli.augment.speed import Speed
from voxcli.data import segments
from voxcli.data.index import index
from voxcli.data.preparation import Preparation
from voxcli.data.table import join
from voxcli.datasets import manifest
from voxcli.datasets.manifest import Manifest

ROWS = [{"start": 0.0, "end": 0.4, "text": "Good day."}, {"start": 0.6, "end": 1.0, "text": "Come in."}]
WORDS = [
    {"start": 0.0, "end": 0.2, "word": "Good"},
    {"start": 0.2, "end": 0.4, "word": "day."},
    {"start": 0.95, "end": 1.0, "word": "Come"},
]


def test_segments_words_and_lists() -> None:
    assert segments.stored(segments.read(json.dumps(ROWS)))[1] == Segment("Come in.", 0.6, 1.0)
    assert [one.text for one in segments.stored(segments.read(WORDS))] == ["Good day.", "Come"]
    assert segments.read({"start": [0.0], "end": [1.0], "text": ["a"]}) == '[[0.0, 1.0, "a"]]'
    assert segments.read([[0.0, 1.0, "a"]]) == '[[0.0, 1.0, "a"]]'


@pytest.mark.parametrize(
    "value", ["", "no JSON", "[]", "3", [{"text": "a"}], [[1.0, 0.5, "a"]], [[-1, 0.5, "a"]], None]
)
def test_what_is_no_segments_is_none(value: Any) -> None:
    assert segments.read(value) is None


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    rows = [
        {"audio": "a.wav", "offset": 0.0, "duration": 1.0, "text": "Good day. Come in.", "segments": ROWS},
        {"audio": "a.wav", "offset": 1.0, "duration": 1.0, "text": "Sit down.", "segments": None},
        {"audio": "b.wav", "offset": 0.5, "duration": 1.0, "text": "Other.", "segments": None},
    ]
    path = tmp_path / f"all.{request.param}"
    if request.param == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        quoted = [str(json.dumps(row["segments"]) if row["segments"] else "").replace('"', '""') for row in rows]
        lines = [
            f'{row["audio"]},{row["offset"]},1.0,{row["text"]},"{cell}"' for row, cell in zip(rows, quoted, strict=True)
        ]
        path.write_text("audio,offset,duration,text,segments\n" + "\n".join(lines) + "\n")
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"x")
    return path


@pytest.mark.parametrize("columns", [False, True])
def test_every_way_to_read_a_manifest(written: Path, columns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SMALL", 0 if columns else 1 << 30)
    monkeypatch.setenv("VOX_CACHE", str(written.parent / "cache"))
    table = join([index(Manifest(path=written), "train")], normalize=str.lower)
    first, second, third = table
    assert first.segments == (Segment("Good day.", 0.0, 0.4), Segment("Come in.", 0.6, 1.0))
    assert (first.previous, second.previous, third.previous) == (None, "good day. come in.", None)
    assert second.segments == ()
    assert table.select([1]).utterance(0).previous == "good day. come in."


def test_times_follow_a_clip_that_is_played_slower(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(16_000) / 10), 16_000)
    one = Utterance(id="a", audio=tmp_path / "a.wav", segments=(Segment("ab", 0.2, 0.8),))
    nothing: Any = None
    slower = Preparation(nothing, nothing, (Speed(p=1.0, factors=(0.8,)),), 16_000, 0, 0, None)
    audio, heard = slower.heard(one)
    assert len(audio) == pytest.approx(20_000, abs=200)
    assert heard.segments[0].start == pytest.approx(0.25, abs=0.01)
    assert heard.segments[0].end == pytest.approx(1.0, abs=0.01)
