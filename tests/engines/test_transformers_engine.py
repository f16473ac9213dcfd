"""The engine with tiny models: every length, in order, and the same text whatever shares its batch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

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


class Cramped:
    """Memory that suffices for `most` clips at once: what a model calls first runs out beyond."""

    def __init__(self, engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch, *, most: int) -> None:
        self.tried: list[int] = []
        inner = _encoder(engine)
        forward = inner.forward

        def limited(*arguments: Any, **keys: Any) -> Any:
            first = next(value for value in (*arguments, *keys.values()) if isinstance(value, torch.Tensor))
            self.tried.append(len(first))
            if len(first) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return forward(*arguments, **keys)

        monkeypatch.setattr(inner, "forward", limited)


def _encoder(engine: TransformersEngine) -> Any:
    model = engine.model.bundle.model
    return model.model.encoder if hasattr(model, "model") else model.wav2vec2


@pytest.fixture(params=[tiny_whisper, tiny_ctc], ids=["whisper", "ctc"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> TransformersEngine:
    """An engine that nothing has run out of memory in yet."""
    return TransformersEngine.open(request.param(tmp_path / "m"), device="cpu", batch_duration=24.0)


def test_a_batch_that_does_not_fit_is_decoded_in_halves(
    fresh: TransformersEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clips = [noise(1.0 + 0.1 * seed, seed) for seed in range(8)]
    asked = Decoding(max_new_tokens=4)
    wanted = fresh.transcribe_batch(clips, asked)
    cramped = Cramped(fresh, monkeypatch, most=2)
    with caplog.at_level(logging.WARNING):
        assert fresh.transcribe_batch(clips, asked) == wanted
        assert max(cramped.tried) == 8
        cramped.tried.clear()
        assert fresh.transcribe_batch(clips, asked) == wanted
        assert max(cramped.tried) == 2  # what failed once is not tried again
    said = [record.message for record in caplog.records if "out of memory" in record.message]
    assert len(said) == 1
    assert "out of memory with 8 clips of " in said[0]
    assert "going on in halves, --batch-duration " in said[0]


def test_what_does_not_fit_alone_costs_the_others_nothing(
    fresh: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = fresh.transcribe_batch([noise(1.0, 1), noise(2.0, 2)], Decoding(max_new_tokens=4))
    forward = _encoder(fresh).forward
    count = 0

    def second_fails(*arguments: Any, **keys: Any) -> Any:
        nonlocal count
        count += 1
        if count in (1, 2):  # both together, then the longer one alone
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: …")
        return forward(*arguments, **keys)

    monkeypatch.setattr(_encoder(fresh), "forward", second_fails)
    short, long = fresh.transcribe_batch([noise(1.0, 1), noise(2.0, 2)], Decoding(max_new_tokens=4))
    assert (short, long) == (wanted[0], None)


@pytest.mark.parametrize("most", [1, 0])
def test_windows_of_a_long_recording(fresh: TransformersEngine, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    long, asked = noise(70.0, 3), Decoding(max_new_tokens=3, long_audio="windows")
    (wanted,) = fresh.transcribe_batch([long], asked)
    cramped = Cramped(fresh, monkeypatch, most=most)
    (found,) = fresh.transcribe_batch([long], asked)
    assert max(cramped.tried) > 1
    assert found == (wanted if most else None)
