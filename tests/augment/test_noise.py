"""Noise: the ratio, measured; the folder; what is drawn."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import soundfile

from voxcli.augment.noise import Noise
from voxcli.augment.recordings import files_in
from voxcli.errors import DataError

RATE = 16000
SPEECH = (0.1 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(1)
    root = tmp_path / "noises"
    (root / "deep").mkdir(parents=True)
    soundfile.write(root / "b.wav", 0.2 * random.standard_normal(3 * RATE), RATE)
    soundfile.write(root / "A.flac", 0.05 * random.standard_normal(RATE // 4), RATE)  # shorter than the speech
    soundfile.write(root / "deep" / "stereo.wav", 0.1 * random.standard_normal((44100, 2)), 44100)
    (root / "README.txt").write_text("not a sound")
    return root


def ratio(clean, mixed):
    """SNR in dB of a mixture that was not scaled."""
    return 10 * np.log10(np.mean(clean.astype(np.float64) ** 2) / np.mean((mixed.astype(np.float64) - clean) ** 2))


@pytest.mark.parametrize("snr", [0.0, 5.0, 20.0])
def test_the_ratio_is_exact_whatever_file_is_drawn(folder, snr):
    noise = Noise(root=folder, snr_db=(snr, snr))
    for seed in range(12):
        mixed = noise(SPEECH, RATE, np.random.default_rng(seed))
        assert mixed.shape == SPEECH.shape
        assert mixed.dtype == np.float32
        assert ratio(SPEECH, mixed) == pytest.approx(snr, abs=0.01)


def test_the_ratio_is_drawn_from_the_range(folder):
    noise = Noise(root=folder, snr_db=(20.0, 5.0))
    ratios = [ratio(SPEECH, noise(SPEECH, RATE, np.random.default_rng(seed))) for seed in range(40)]
    assert min(ratios) > 4.99
    assert max(ratios) < 20.01
    assert max(ratios) - min(ratios) > 10


def test_a_loud_mixture_is_scaled_and_keeps_its_ratio(folder):
    loud = SPEECH * 9.9
    mixed = Noise(root=folder, snr_db=(0.0, 0.0))(loud, RATE, np.random.default_rng(0))
    assert np.abs(mixed).max() == pytest.approx(1.0)
    scale = float(np.dot(mixed, loud) / np.dot(loud, loud))  # noise and speech hardly correlate
    assert ratio(loud * scale, mixed) == pytest.approx(0.0, abs=0.3)


def test_what_is_drawn_follows_the_generator_alone(folder):
    noise = Noise(root=folder)
    first = noise(SPEECH, RATE, np.random.default_rng(7))
    assert np.array_equal(first, noise(SPEECH, RATE, np.random.default_rng(7)))
    others = [noise(SPEECH, RATE, np.random.default_rng(seed)) for seed in range(8, 12)]
    assert not any(np.array_equal(first, other) for other in others)


def test_the_list_is_sorted_and_found_once(folder):
    names = [path.relative_to(folder).as_posix() for path in files_in(folder)]
    assert names == ["A.flac", "b.wav", "deep/stereo.wav"]
    assert files_in(folder) is files_in(folder)


def test_a_short_file_is_repeated_without_a_gap(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(1000, 0.25), RATE, subtype="FLOAT")
    mixed = Noise(root=tmp_path, snr_db=(10.0, 10.0))(SPEECH, RATE, np.random.default_rng(0))
    added = mixed - SPEECH
    assert added.min() == pytest.approx(added.max(), rel=1e-4)


def test_a_silent_clip_and_silent_noise_change_nothing(tmp_path, folder):
    silence = np.zeros(RATE, dtype=np.float32)
    assert np.array_equal(Noise(root=folder)(silence, RATE, np.random.default_rng(0)), silence)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    soundfile.write(quiet / "silent.wav", np.zeros(RATE), RATE)
    assert np.array_equal(Noise(root=quiet)(SPEECH, RATE, np.random.default_rng(0)), SPEECH)


def test_a_corrupt_file_is_named_and_another_drawn(folder, caplog):
    (folder / "corrupt.wav").write_bytes(b"RIFF....nothing of a sound")
    noise = Noise(root=folder, snr_db=(10.0, 10.0))
    with caplog.at_level(logging.WARNING):
        for seed in range(20):
            assert ratio(SPEECH, noise(SPEECH, RATE, np.random.default_rng(seed))) == pytest.approx(10.0, abs=0.01)
    assert sum("corrupt.wav" in record.message for record in caplog.records) == 1


def test_nothing_but_corrupt_files(tmp_path):
    (tmp_path / "corrupt.wav").write_bytes(b"RIFF....nothing of a sound")
    with pytest.raises(DataError, match="no file of the noise folder"):
        Noise(root=tmp_path)(SPEECH, RATE, np.random.default_rng(0))


def test_findings(tmp_path, folder):
    assert list(Noise(root=folder).findings()) == []
    [missing] = Noise(root=tmp_path / "nowhere").findings()
    assert missing.path == ("root",)
    assert "does not exist" in missing.message
    (tmp_path / "empty").mkdir()
    wrong = list(Noise(root=tmp_path / "empty", p=-1).findings())
    assert [finding.path for finding in wrong] == [("p",), ("root",)]
    assert "no audio files" in wrong[1].message
    with pytest.raises(DataError, match="does not exist"):
        Noise(root=tmp_path / "nowhere")(SPEECH, RATE, np.random.default_rng(0))


@pytest.fixture
def labelled(tmp_path):
    """Three tones, told apart by their frequency: one in a folder `music`, two in a table."""
    time = np.arange(2 * RATE) / RATE
    root = tmp_path / "labelled"
    for name, frequency in (("music/a.wav", 1000), ("b.wav", 2000), ("c.wav", 3000)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, 0.1 * np.sin(2 * np.pi * frequency * time), RATE)
    (root / "manifest.csv").write_text("path,label\nb.wav,animal\nc.wav,factory\n")
    return root


def heard(audio):
    """Frequencies of the tones in it, kHz."""
    power = np.abs(np.fft.rfft(audio)) ** 2
    return {khz for khz in (1, 2, 3) if power[1000 * khz] > 0.01 * power.max()}


@pytest.mark.parametrize(
    ("labels", "tones"), [(("music",), {1}), (("animal",), {2}), (("animal", "factory"), {2, 3}), ((), {1, 2, 3})]
)
def test_labels_choose_files(labelled, labels, tones):
    noise = Noise(root=labelled, labels=labels, snr_db=(-20.0, -20.0))
    assert list(noise.findings()) == []
    assert set().union(*(heard(noise(SPEECH, RATE, np.random.default_rng(seed))) for seed in range(12))) == tones


def test_a_label_that_no_file_has(labelled, folder):
    [finding] = Noise(root=labelled, labels=("music", "babies")).findings()
    assert finding.path == ("labels",)
    assert "babies" in finding.message
    assert "animal, factory, music" in finding.help
    [finding] = Noise(root=folder, labels=("deap",)).findings()
    assert "did you mean 'deep'?" in finding.help


def test_several_voices_sound_together_at_one_level_each(labelled):
    babble = Noise(root=labelled, voices=(8, 8), snr_db=(-20.0, -20.0))
    mixed = babble(SPEECH, RATE, np.random.default_rng(0))
    assert heard(mixed) == {1, 2, 3}
    several = Noise(root=labelled, voices=(3, 3), snr_db=(10.0, 10.0))(SPEECH, RATE, np.random.default_rng(1))
    assert ratio(SPEECH, several) == pytest.approx(10.0, abs=0.01)
