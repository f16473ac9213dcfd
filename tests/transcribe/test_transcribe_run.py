"""Recordings of every kind through an engine: in order, batched, and no bad one stops the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.api import Decoding, Transcript
from voxcli.transcribe.inputs import find
from voxcli.transcribe.run import Result, transcribe

RATE = 16_000


class Engine:
    """Says how long and how loud each recording is."""

    sampling_rate = RATE

    def __init__(self) -> None:
        self.calls: list[int] = []

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> list[Transcript]:
        self.calls.append(len(audio))
        assert all(clip.dtype == np.float32 and clip.ndim == 1 for clip in audio)
        return [Transcript(f"{len(clip) / RATE:.2f} s at {np.abs(clip).max(initial=0):.1f}") for clip in audio]


def tone(path: Path, duration: float, *, rate: int = RATE, channels: int = 1, level: float = 0.5) -> str:
    time = np.arange(round(duration * rate)) / rate
    wave = level * np.sin(2 * np.pi * 220 * time)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return str(path)


def run(*paths: str, engine: Engine | None = None, **options: float) -> list[Result]:
    engine = engine or Engine()
    return list(transcribe(find(paths, stdin=lambda: b""), engine, decoding=Decoding(), **options))


def test_every_kind_of_good_audio(tmp_path: Path) -> None:
    got = run(
        tone(tmp_path / "stereo.wav", 1.0, channels=2),
        tone(tmp_path / "telephone.wav", 1.0, rate=8000),
        tone(tmp_path / "cd.flac", 1.0, rate=44100),
        tone(tmp_path / "blink.wav", 0.05),
        tone(tmp_path / "silent.wav", 1.0, level=0.0),
        tone(tmp_path / "long.ogg", 90.0),
    )
    assert [result.transcript.text for result in got] == [
        "1.00 s at 0.5",
        "1.00 s at 0.5",
        "1.00 s at 0.5",
        "0.05 s at 0.5",
        "1.00 s at 0.0",
        "90.00 s at 0.5",
    ]


def test_bad_audio_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "corrupt.wav").write_bytes(b"not audio at all" * 100)
    (tmp_path / "empty.wav").write_bytes(b"")
    whole = Path(tone(tmp_path / "whole.wav", 2.0))
    (tmp_path / "truncated.wav").write_bytes(whole.read_bytes()[:20_000])
    names = ["corrupt.wav", "whole.wav", "empty.wav", "truncated.wav", "missing.wav"]
    got = run(*(str(tmp_path / name) for name in names))
    assert [Path(result.source.name).name for result in got] == names
    assert [result.transcript is None for result in got] == [True, False, True, True, True]
    for result in got:
        if result.transcript is None:
            assert result.source.name in result.problem
    assert got[-1].problem == f"{tmp_path}/missing.wav: there is no such file or folder"


def test_only_bad_audio_never_reaches_the_engine(tmp_path: Path) -> None:
    engine = Engine()
    (result,) = run(str(tmp_path / "missing.wav"), engine=engine)
    assert result.transcript is None
    assert engine.calls == []


def test_the_look_ahead_bounds_what_is_read(tmp_path: Path) -> None:
    paths = [tone(tmp_path / f"{number}.wav", 1.0) for number in range(7)]
    engine = Engine()
    assert len(run(*paths, engine=engine, look_ahead=3.0)) == 7
    assert engine.calls == [3, 3, 1]


def test_results_come_while_the_rest_is_still_to_be_read(tmp_path: Path) -> None:
    paths = [tone(tmp_path / f"{number}.wav", 1.0) for number in range(5)]
    results = transcribe(find(paths, stdin=lambda: b""), Engine(), decoding=Decoding(), look_ahead=1.0)
    assert next(results).source.name == paths[0]
    Path(paths[4]).unlink()  # not read yet
    assert [result.transcript is None for result in results] == [False, False, False, True]


def test_standard_input(tmp_path: Path) -> None:
    data = Path(tone(tmp_path / "a.flac", 0.5)).read_bytes()
    (result,) = transcribe(find(["-"], stdin=lambda: data), Engine(), decoding=Decoding())
    assert result.transcript.text == "0.50 s at 0.5"
    (result,) = transcribe(find(["-"], stdin=lambda: b""), Engine(), decoding=Decoding())
    assert result.problem == "stdin is empty (0 bytes)"


def test_what_the_engine_raises_ends_the_run(tmp_path: Path) -> None:
    class Broken(Engine):
        def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> list[Transcript]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(tone(tmp_path / "a.wav", 1.0), engine=Broken())


def test_a_recording_that_does_not_fit_the_memory_costs_the_others_nothing(tmp_path: Path) -> None:
    class Cramped(Engine):
        def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> list[Transcript | None]:  # type: ignore[override]
            return [
                one if len(clip) < 2 * RATE else None
                for one, clip in zip(super().transcribe_batch(audio, decoding), audio, strict=True)
            ]

    short, long, last = run(*(tone(tmp_path / f"{n}.wav", n) for n in (1.0, 2.5, 0.5)), engine=Cramped())
    assert short.transcript is not None
    assert last.transcript is not None
    assert (long.transcript, long.problem) == (
        None,
        f"{long.source.name}: 2.5 s of audio do not fit the memory, even alone",
    )
    assert "--num-beams" in str(long.help)
