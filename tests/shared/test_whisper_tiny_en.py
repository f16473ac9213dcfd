"""A real Whisper on real prompts; skipped where the shared models and recordings are not at hand."""

from __future__ import annotations

import csv
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.models.whisper import Whisper
from voxcli.tasks.metrics import word_error_rate
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.text.scoring import scoring_normalizer

SHARED = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared"))
MODEL = SHARED / "models/whisper-tiny.en"
PROMPTS = SHARED / "data/asterisk-en"
pytestmark = pytest.mark.skipif(
    not (MODEL / "model.safetensors").is_file() or not (PROMPTS / "manifest.csv").is_file(),
    reason=f"needs {MODEL} and {PROMPTS}",
)
TASK = Seq2Seq()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Whisper(checkpoint=str(MODEL)).build(Corpus("", (), 0, 0.0))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (PROMPTS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(row: dict[str, str]) -> np.ndarray:
    audio, rate = soundfile.read(PROMPTS / row["path"], dtype="float32")
    assert rate == 16_000
    return np.asarray(audio)


def test_short_prompts(bundle: Bundle, rows: list[dict[str, str]]) -> None:
    some = [row for row in rows if row["split"] == "test" and 2.0 < float(row["duration"]) < 5.0][:3]
    items = [TASK.features(Utterance(id=row["path"], audio=Path(row["path"])), read(row), bundle) for row in some]
    found = TASK.predict(bundle, TASK.collate(items, bundle), Decoding(timestamps="word"))
    normalise = scoring_normalizer("en", json.loads((MODEL / "normalizer.json").read_text(encoding="utf-8")))
    wer = word_error_rate([normalise(one.text) for one in found], [normalise(row["text"]) for row in some])
    assert wer < 0.15
    for row, one in zip(some, found, strict=True):
        words = [word for segment in one.segments for word in segment.words]
        assert " ".join(word.text for word in words) == one.text
        assert all(0 <= word.start <= word.end <= float(row["duration"]) + 0.01 for word in words)


@pytest.mark.parametrize("long_audio", ["sequential", "windows"])
def test_a_prompt_of_over_a_minute(bundle: Bundle, rows: list[dict[str, str]], long_audio: str) -> None:
    row = max(rows, key=lambda row: float(row["duration"]))
    assert float(row["duration"]) > 60
    found = TASK.transcribe(bundle, read(row), Decoding(timestamps="segment", long_audio=long_audio))  # type: ignore[arg-type]
    normalise = scoring_normalizer("en", json.loads((MODEL / "normalizer.json").read_text(encoding="utf-8")))
    assert word_error_rate([normalise(found.text)], [normalise(row["text"])]) < 0.15
    assert len(found.segments) > 8
    assert all(one.start <= one.end <= other.start + 0.01 for one, other in itertools.pairwise(found.segments))
    assert found.segments[-1].end > 60
