"""Whisper tiny.en on CTranslate2: texts and times of transformers, speech and silence, and faster-whisper itself."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from voxcli.api import Decoding
from voxcli.checkpoints import engine_around, open_checkpoint

SHARED = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared"))
MODEL = SHARED / "models/whisper-tiny.en"
PROMPTS = SHARED / "data/asterisk-en"
pytestmark = pytest.mark.skipif(
    not (MODEL / "model.safetensors").is_file() or not (PROMPTS / "manifest.csv").is_file(),
    reason=f"needs {MODEL} and {PROMPTS}",
)
RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    exporter = pytest.importorskip("vox_ctranslate2.exporter")
    made: Path = exporter.CTranslate2().export(MODEL, tmp_path_factory.mktemp("ctranslate2"))
    return made


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Four test prompts of 2 to 8 s."""
    with (PROMPTS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and 2 < float(row["duration"]) < 8]
    return [soundfile.read(PROMPTS / row["path"], dtype="float32")[0] for row in rows[:4]]


def opened(folder: Path, **options: Any) -> Any:
    from vox_ctranslate2.engine import CTranslate2Engine, Options

    return CTranslate2Engine.open(folder, device="cpu", options=Options(**options))


def texts(found: Any) -> list[str]:
    return [one.text for one in found]


def test_texts_segments_and_words_are_those_of_transformers(folder: Path, clips: list[np.ndarray]) -> None:
    here, there = engine_around(open_checkpoint(MODEL, device="cpu")), opened(folder)
    assert texts(there.transcribe_batch(clips, Decoding())) == texts(here.transcribe_batch(clips, Decoding()))
    one, other = (engine.transcribe_batch(clips[:1], Decoding(timestamps="word"))[0] for engine in (there, here))
    assert one.text == other.text
    assert [segment.text for segment in one.segments] == [segment.text for segment in other.segments]
    words, wanted = ([word for segment in found.segments for word in segment.words] for found in (one, other))
    assert [word.text for word in words] == [word.text for word in wanted]
    off = [abs(word.end - same.end) for word, same in zip(words, wanted, strict=True)]
    assert max(off) < 0.5  # another median filter over the same attention
    assert sorted(off)[len(off) // 2] < 0.1


def test_eight_bits_change_few_words(folder: Path, clips: list[np.ndarray]) -> None:
    from voxcli.evaluate.align import Counts, align

    exact, rounded = (opened(folder, compute_type=kind) for kind in ("float32", "int8"))
    assert rounded._hearing.whisper.model.compute_type.startswith("int8")
    pairs = zip(*(texts(engine.transcribe_batch(clips, Decoding())) for engine in (exact, rounded)), strict=True)
    moved = sum((align(*pair).words for pair in pairs), Counts())
    assert moved.errors <= 0.1 * moved.length


def test_silence_is_left_out_and_the_rest_keeps_its_time(folder: Path, clips: list[np.ndarray]) -> None:
    silence = np.zeros(8 * RATE, np.float32)
    speech = clips[0]
    long = np.concatenate([silence, speech, silence, speech, silence, silence])
    engine = opened(folder, vad_filter=True)
    found, nothing = engine.transcribe_batch([long, silence], Decoding(timestamps="segment"))
    assert nothing.text == ""
    (alone,) = texts(engine.transcribe_batch([speech], Decoding()))
    assert found.text == f"{alone} {alone}"
    second = 16.0 + len(speech) / RATE
    starts = [segment.start for segment in found.segments]
    assert starts[0] == pytest.approx(8.0, abs=1.0)
    assert min(abs(start - second) for start in starts) < 1.0
    whole = opened(folder).transcribe_batch([long], Decoding(long_audio="windows"))[0]
    assert whole.text.lower().count(alone.lower()[:10]) == 2


def test_hot_words_are_heard(folder: Path) -> None:
    with (PROMPTS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["path"].endswith("/agent-user.flac")]
    audio = [soundfile.read(PROMPTS / row["path"], dtype="float32")[0]]
    plain, hinted = (
        texts(opened(folder, hotwords=words).transcribe_batch(audio, Decoding())) for words in ("", "log-in")
    )
    assert "log-in" not in plain[0]
    assert "log-in" in hinted[0]


def test_faster_whisper_opens_the_folder(folder: Path, clips: list[np.ndarray]) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8")
    segments, info = model.transcribe(clips[0], beam_size=1, vad_filter=True, word_timestamps=True)
    said = list(segments)
    (wanted,) = texts(opened(folder).transcribe_batch(clips[:1], Decoding()))
    assert info.language == "en"
    assert said[0].words
    assert " ".join(one.text.strip() for one in said).lower().split()[:3] == wanted.lower().split()[:3]


def test_a_clip_context_is_kept(tmp_path: Path, clips: list[np.ndarray]) -> None:
    """The weights are untrained for it and repeat themselves: so both have to do, token by token."""
    import json
    import shutil

    from vox_ctranslate2.exporter import CTranslate2

    checkpoint = Path(shutil.copytree(MODEL, tmp_path / "checkpoint"))
    settings = {"type": "whisper", "checkpoint": str(checkpoint), "encoder_context": "clip"}
    (checkpoint / "vox.json").write_text(json.dumps({"model": settings}))
    (tmp_path / "out").mkdir()
    there = opened(CTranslate2(quantization="float32").export(checkpoint, tmp_path / "out"))
    here = engine_around(open_checkpoint(checkpoint, device="cpu"))
    some = [clips[0], clips[1]]
    decoding = replace(Decoding(), max_new_tokens=24)
    assert texts(there.transcribe_batch(some, decoding)) == texts(here.transcribe_batch(some, decoding))
