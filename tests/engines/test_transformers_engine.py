"""The engine with tiny models: every length, in order, and the same text whatever shares its batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from voxcli.api import Decoding
from voxcli.engines.transformers import TransformersEngine
from voxcli.testing_models import tiny_ctc, tiny_whisper

RATE = 16_000
SECONDS = {"blink": 0.05, "second": 1.0, "two": 2.0, "long": 4.5, "again": 1.0}  # the tiny Whisper's window is 3 s


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module", params=[tiny_whisper, tiny_ctc], ids=["whisper", "ctc"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    make: Callable[[Path], Path] = request.param
    return TransformersEngine.open(make(tmp_path_factory.mktemp("model") / "m"), device="cpu", batch_duration=6.0)


def test_every_length_in_order(engine: TransformersEngine) -> None:
    clips = [noise(seconds, seed) for seed, seconds in enumerate(SECONDS.values())]
    got = engine.transcribe_batch(clips, Decoding(language=None, max_new_tokens=5))
    assert [round(one.duration, 2) for one in got] == list(SECONDS.values())
    short = [index for index, seconds in enumerate(SECONDS.values()) if seconds < 3]  # longer ones may be sampled
    alone = [engine.transcribe_batch([clips[index]], Decoding(max_new_tokens=5))[0] for index in short]
    assert [got[index].text for index in short] == [one.text for one in alone]


def test_silence_and_nothing(engine: TransformersEngine) -> None:
    silent = engine.transcribe_batch([np.zeros(RATE, np.float32)], Decoding(max_new_tokens=5))
    assert len(silent) == 1
    assert engine.transcribe_batch([], Decoding()) == []


def test_short_recordings_share_batches(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    predict = type(engine.model.task).predict

    def counted(self, bundle, batch, decoding):  # type: ignore[no-untyped-def]
        found = predict(self, bundle, batch, decoding)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(type(engine.model.task), "predict", counted)
    engine.transcribe_batch([noise(1.0, seed) for seed in range(4)], Decoding(max_new_tokens=3))
    assert sizes == ([2, 2] if engine.model.bundle.family.task == "seq2seq" else [4])  # 3 s windows, 6 s batches


@pytest.mark.parametrize("times", ["segment", "word"])
def test_times_are_in_order_and_within_the_recording(engine: TransformersEngine, times: str) -> None:
    for seconds in (2.0, 4.5):
        (got,) = engine.transcribe_batch([noise(seconds)], Decoding(timestamps=times, max_new_tokens=6))
        bounds = [bound for segment in got.segments for bound in (segment.start, segment.end)]
        assert bounds == sorted(bounds)
        assert all(0 <= bound <= seconds + 0.05 for bound in bounds)
        assert "".join(got.text.split()) == "".join("".join(s.text.split()) for s in got.segments)
