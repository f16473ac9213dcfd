"""Codecs: what is left, and that it was really encoded."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import soundfile

from voxcli.audio.coding import Coding, coded
from voxcli.audio.decode import read
from voxcli.audio.spectrum import band_limited

RATE = 16000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    folder = files("voxcli") / "sample" / "speech" / "audio"
    return read(folder / "seconds.flac")[:RATE]


def ratio(before: np.ndarray, after: np.ndarray) -> float:
    rest = after.astype(np.float64) - before
    return float(10 * np.log10((before.astype(np.float64) ** 2).sum() / (rest**2).sum()))


@pytest.mark.parametrize(("coding", "bitrate"), [("mp3", 24.0), ("mp3", 96.0), ("opus", 16.0), ("vorbis", 40.0)])
def test_encoded_small_and_in_its_place(speech: np.ndarray, coding: Coding, bitrate: float) -> None:
    made = coded(speech, RATE, coding, bitrate)
    assert made.audio.shape == speech.shape
    assert made.audio.dtype == np.float32
    assert made.size < 0.55 * 2 * len(speech)  # 16 bits a sample
    match = np.correlate(made.audio, speech[200:-200], "valid")
    assert abs(int(np.argmax(match)) - 200) <= 1
    assert 3 < ratio(speech, made.audio) < 60


def test_fewer_bits_leave_less(speech: np.ndarray) -> None:
    coarse, fine = (coded(speech, RATE, "mp3", bitrate) for bitrate in (16.0, 128.0))
    assert coarse.size < fine.size / 4
    assert ratio(speech, coarse.audio) < ratio(speech, fine.audio) - 5


@pytest.mark.parametrize("coding", ["mu-law", "a-law"])
def test_g711_has_256_steps_whose_error_follows_the_level(speech: np.ndarray, coding: Coding) -> None:
    samples = speech[::2].copy()
    made = coded(samples, 8000, coding).audio
    assert len(np.unique(made)) <= 256
    # eight segments of sixteen steps: half a step is at most 1/32 of the sample, and 1/4096 near silence
    assert (np.abs(made - samples) <= np.maximum(np.abs(samples) / 31, 1 / 4096)).all()
    assert not np.array_equal(made, samples)


def test_the_telephone_codecs_work_at_8_khz(speech: np.ndarray) -> None:
    for coding in ("mu-law", "gsm"):
        made = coded(speech, RATE, coding)
        above = np.abs(np.fft.rfft(made.audio * np.hanning(len(made.audio))))[4100:]
        assert (above**2).mean() < 1e-5 * (np.abs(np.fft.rfft(made.audio)) ** 2).mean()
    narrow = band_limited(speech, RATE, low=200, high=3000)
    assert ratio(narrow, coded(narrow, RATE, "mu-law").audio) > 28
    assert 3 < ratio(narrow, coded(narrow, RATE, "gsm").audio) < 25


def test_samples_are_written_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes in one write end the process: libvorbis keeps them on the stack (libsndfile 1.2.2)."""
    lengths = []
    write = soundfile.SoundFile.write

    def spied(file: soundfile.SoundFile, samples: np.ndarray) -> None:
        lengths.append(len(samples))
        write(file, samples)

    monkeypatch.setattr(soundfile.SoundFile, "write", spied)
    assert len(coded(np.zeros(5 * RATE // 2, dtype=np.float32), RATE, "vorbis", 32.0).audio) == 5 * RATE // 2
    assert lengths == [RATE, RATE, RATE // 2]


def test_an_encoder_that_lowers_the_rate_keeps_the_place(speech: np.ndarray) -> None:
    """LAME goes to 8 kHz below some bit rate, and its decoder then begins late."""
    made = coded(speech, RATE, "mp3", 10.0)
    assert abs(int(np.argmax(np.correlate(made.audio, speech[400:-400], "valid"))) - 400) <= 2


@pytest.mark.parametrize("coding", ["mp3", "opus", "vorbis", "gsm"])
@pytest.mark.parametrize("rate", [8000, 20000, 44100])
def test_models_of_any_rate(coding: Coding, rate: int) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 500 * np.arange(rate // 2) / rate)).astype(np.float32)
    made = coded(tone, rate, coding, 40.0).audio
    assert made.shape == tone.shape
    assert np.argmax(np.abs(np.fft.rfft(made))) == 250


def test_the_bit_rate_is_the_one_asked_for() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(4 * 48000)).astype(np.float32)
    for rate, bitrate in ((8000, 32.0), (16000, 64.0), (48000, 128.0)):
        size = coded(noise[: 4 * rate], rate, "mp3", bitrate).size
        assert size * 8 / 4000 == pytest.approx(bitrate, rel=0.1)
    assert coded(noise[: 4 * 16000], 16000, "opus", 24.0).size * 8 / 4000 == pytest.approx(24, rel=0.3)
