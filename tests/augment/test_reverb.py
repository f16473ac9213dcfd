"""Rooms, measured: how long they ring, where the speech is, how loud; folders of responses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.audio.reverberation import reverberation_time
from voxcli.augment.reverb import Reverb
from voxcli.errors import DataError

RATE = 16000
CLICK = np.zeros(2 * RATE, dtype=np.float32)
CLICK[1000] = 1.0
SPEECH = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


@pytest.mark.parametrize("t60", [0.4, 0.8])
def test_a_drawn_room_rings_as_long_as_drawn(t60: float) -> None:
    """A click comes out as the impulse response."""
    for seed in range(5):
        heard = Reverb(t60=(t60, t60), distance=(1.0, 2.0))(CLICK, RATE, np.random.default_rng(seed))
        assert not heard[:1000].any() or np.abs(heard[:1000]).max() < 1e-6
        assert reverberation_time(heard[1000:], RATE) == pytest.approx(t60, rel=0.25)


def test_length_level_and_place_stay() -> None:
    heard = Reverb(t60=(0.5, 0.5))(SPEECH, RATE, np.random.default_rng(0))
    assert heard.shape == SPEECH.shape
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(SPEECH**2)), rel=0.01)
    match = np.correlate(heard, SPEECH[400:-400], "valid")
    assert np.argmax(np.abs(match)) == 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An echo after 100 ms at half the level, with silence before and after; and one that rings for 3 s."""
    echo = np.zeros(3 * RATE)
    echo[500], echo[2100] = 0.5, 0.25
    (tmp_path / "small").mkdir()
    soundfile.write(tmp_path / "small" / "echo.wav", echo, RATE, subtype="FLOAT")
    ringing = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    (tmp_path / "hall").mkdir()
    soundfile.write(tmp_path / "hall" / "long.wav", ringing, RATE, subtype="FLOAT")
    return tmp_path


def test_a_measured_response_is_convolved_from_its_direct_sound_on(folder: Path) -> None:
    heard = Reverb(root=folder, labels=("small",))(SPEECH, RATE, np.random.default_rng(0))
    echo = SPEECH.copy()
    echo[1600:] += 0.5 * SPEECH[:-1600]
    scale = float(heard @ echo) / float(echo @ echo)
    assert np.allclose(heard, scale * echo, atol=1e-5)


def test_a_response_longer_than_the_clip_gives_what_the_clip_has_room_for(folder: Path) -> None:
    reverb = Reverb(root=folder, labels=("hall",))
    short, long = (reverb(SPEECH[:length], RATE, np.random.default_rng(0)) for length in (4000, 16000))
    assert short.shape == (4000,)
    scale = float(short @ long[:4000]) / float(long[:4000] @ long[:4000])
    assert np.allclose(short, scale * long[:4000], atol=1e-5)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "broken.wav").write_bytes(b"RIFF....nothing of a sound")
    with pytest.raises(DataError, match="cannot be read"):
        Reverb(root=tmp_path / "one")(SPEECH, RATE, np.random.default_rng(0))
    soundfile.write(tmp_path / "two" / "silent.wav", np.zeros(100), RATE)
    assert np.array_equal(Reverb(root=tmp_path / "two")(SPEECH, RATE, np.random.default_rng(0)), SPEECH)
