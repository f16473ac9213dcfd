"""Figures of recordings near the lines that checks draw, and sounds that only look like a fault."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.doctor.audio.hearing import Sound, hear
from voxcli.doctor.checks.thresholds import CANCELLED, CLIPPED, CUT_LOUD, NARROW, NEAR_FULL, NO_SPEECH, SILENT, SPREAD

RATE = 16_000
RNG = np.random.default_rng(3)
TIME = np.arange(2 * RATE) / RATE


def sine(hertz: float, amplitude: float = 0.5, rate: int = RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate)).astype(np.float32)


def voice(hertz: float, rate: int = RATE) -> np.ndarray:
    """Harmonics that fade, in syllables."""
    time = np.arange(2 * rate) / rate
    tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 12) if hertz * n < rate / 2)
    return (0.2 * tone * (np.sin(2 * np.pi * 4 * time) > 0)).astype(np.float32)


def heard(samples: np.ndarray, rate: int = RATE) -> Sound:
    return hear([(samples, rate)])


def silent(sound: Sound) -> bool:
    return sound.level < SILENT or (sound.level < NO_SPEECH and sound.spread < SPREAD)


def test_pieces_say_what_the_whole_says() -> None:
    samples = voice(140)
    whole, pieces = heard(samples), hear([(piece, RATE) for piece in np.split(samples, 4)])
    assert pieces.digest == whole.digest
    assert pieces.duration == whole.duration == 2.0
    assert pieces.level == pytest.approx(whole.level)
    assert pieces.pitch == pytest.approx(whole.pitch, rel=0.02)


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01])
def test_a_sine_is_not_clipped(amplitude: float) -> None:
    for hertz in (20, 50, 200, 1000, 3999):
        assert heard(sine(hertz, amplitude)).clipped < CLIPPED


def test_one_word_in_ten_seconds_of_silence_is_not_silent() -> None:
    word = voice(120)[: RATE // 4]
    assert not silent(heard(np.concatenate([np.zeros(10 * RATE, np.float32), word])))


def test_what_is_silent() -> None:
    assert silent(heard(np.zeros(RATE, np.float32)))
    assert silent(heard(np.zeros(10, np.float32)))
    assert silent(heard((1e-4 * RNG.standard_normal(RATE)).astype(np.float32)))
    assert not silent(heard(0.003 * voice(120)))
    assert not silent(heard((0.05 * RNG.standard_normal(RATE)).astype(np.float32)))


def test_lossy_tops_are_known_by_how_many_are_near() -> None:
    square = np.clip(5 * sine(200), -1, 1) + (0.01 * RNG.standard_normal(2 * RATE)).astype(np.float32)
    assert heard(square).clipped < CLIPPED
    assert heard(square).near > NEAR_FULL
    assert heard(voice(200)).near == 0


def test_channels() -> None:
    left = voice(150)
    assert heard(np.stack([left, -left], axis=1)).mixed < CANCELLED
    assert heard(np.stack([left, -0.5 * left], axis=1)).mixed > CANCELLED
    independent = RNG.standard_normal((RATE, 2)).astype(np.float32) * 0.1
    assert heard(independent).mixed == pytest.approx(-3, abs=0.2)
    one = heard(np.stack([left, np.zeros_like(left)], axis=1))
    assert (one.silent_channels, one.channels) == (1, 2)
    assert one.mixed == pytest.approx(-3, abs=0.1)
    assert heard(np.zeros((RATE, 2), np.float32)).silent_channels == 0


@pytest.mark.parametrize("hertz", [70, 120, 220, 400])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_pitch(hertz: float, rate: int) -> None:
    assert heard(voice(hertz, rate), rate).pitch == pytest.approx(hertz, rel=0.05)


def test_noise_has_no_pitch() -> None:
    assert heard((0.1 * RNG.standard_normal(2 * RATE)).astype(np.float32)).pitch is None


def test_telephone() -> None:
    import soxr

    noise = (0.1 * RNG.standard_normal(2 * RATE)).astype(np.float32)
    narrow = soxr.resample(soxr.resample(noise, RATE, 8000), 8000, RATE)
    assert heard(noise).above == pytest.approx(0, abs=2)
    assert (heard(narrow).above or 0) < NARROW
    assert heard(narrow[::2], 8000).above is None


def test_the_end() -> None:
    samples = voice(120)
    assert heard(samples[: RATE // 16]).end > CUT_LOUD
    assert heard(np.concatenate([samples, np.zeros(RATE // 2, np.float32)])).end < CUT_LOUD


def test_samples_that_are_no_numbers() -> None:
    samples = voice(120)
    samples[RATE // 2] = np.inf
    samples[RATE] = np.nan
    sound = heard(samples)
    assert sound.not_finite == 0.5
    assert np.isfinite([sound.peak, sound.level, sound.offset, sound.end]).all()
    assert np.isfinite(heard((voice(120) * np.float32(1e30)).astype(np.float32)).level)


def test_a_clip_of_a_few_samples() -> None:
    for length in (1, 2, 100, 1023):
        assert heard(sine(300)[:length]).duration == pytest.approx(length / RATE)
