"""Spectrogram, log-mel and MFCC against transformers' and torch's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank

from voxcli.errors import DataError, UsageError
from voxcli.features.presets import PRESETS, named
from voxcli.features.spectral import features, mel_filters

RNG = np.random.default_rng(0)
AUDIO = (0.1 * RNG.standard_normal(8_000)).astype(np.float32)


def power(audio: np.ndarray, n_fft: int, win_length: int, hop_length: int) -> np.ndarray:
    window = torch.hann_window(win_length)
    found = torch.stft(torch.from_numpy(audio), n_fft, hop_length, win_length, window, center=True, return_complex=True)
    return (found.abs() ** 2).T.numpy()


@pytest.mark.parametrize(("n_fft", "win_length", "hop_length"), [(2048, 2048, 512), (512, 400, 160)])
def test_a_spectrogram_is_that_of_torch(n_fft: int, win_length: int, hop_length: int) -> None:
    preset = PRESETS["spectrogram"][0].changed(n_fft=n_fft, win_length=win_length, hop_length=hop_length)
    np.testing.assert_allclose(
        features(AUDIO, preset), power(AUDIO, n_fft, win_length, hop_length), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(("n_fft", "n_mels", "rate"), [(512, 80, 16_000), (400, 40, 8_000)])
def test_mel_bands_are_those_of_transformers(n_fft: int, n_mels: int, rate: int) -> None:
    expected = mel_filter_bank(n_fft // 2 + 1, n_mels, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
    np.testing.assert_allclose(mel_filters(n_fft, n_mels, rate), expected, atol=1e-9)


def test_mfcc_is_the_orthonormal_cosine_transform_of_log_mel() -> None:
    from scipy.fft import dct

    preset = PRESETS["mfcc"][0]
    log_mel = features(AUDIO, PRESETS["log-mel"][0].changed(n_mels=preset.n_mels))
    found = features(AUDIO, preset)
    assert found.shape == (1 + len(AUDIO) // 160, 13)
    np.testing.assert_allclose(found, dct(log_mel, norm="ortho", axis=1)[:, :13], atol=1e-3)


def test_a_tone_is_loudest_in_its_band_and_silence_is_the_floor() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    spectrum = features(tone, PRESETS["spectrogram"][0])
    assert spectrum.mean(0).argmax() == round(1000 / 16_000 * 2048)
    assert (features(0 * tone, PRESETS["log-mel"][0]) == -100.0).all()


def test_a_recording_in_blocks_is_the_whole_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features(AUDIO, PRESETS["log-mel"][0])
    monkeypatch.setattr("voxcli.features.spectral._BLOCK", 7)
    np.testing.assert_array_equal(features(AUDIO, PRESETS["log-mel"][0]), whole)


def test_audio_shorter_than_half_a_window_is_refused() -> None:
    with pytest.raises(DataError, match="too short for n_fft = 512"):
        features(AUDIO[:256], PRESETS["log-mel"][0])


def test_presets_have_the_usual_parameters() -> None:
    shown = {name: preset.parameters() for name, (preset, _) in PRESETS.items()}
    assert (shown["log-mel"]["n_fft"], shown["log-mel"]["hop_length"]) == (512, 160)
    assert shown["mfcc"]["n_mfcc"] == 13
    assert shown["speaker-mfcc"]["n_mfcc"] == 40
    assert (shown["spectrogram"]["n_fft"], shown["spectrogram"]["hop_length"]) == (2048, 512)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("spectrogram", {"n_mels": 40}, "spectrogram has no n_mels"),
        ("mfcc", {"n_mfcc": 41}, "n_mfcc = 41 of n_mels = 40"),
        ("log-mel", {"n_fft": 128}, "leave bands empty"),
        ("log-mel", {"win_length": 513}, "longer than n_fft"),
        ("log-mel", {"hop_length": 0}, "hop_length = 0"),
    ],
)
def test_what_cannot_be_is_refused(name: str, given: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PRESETS[name][0].changed(**given)


def test_the_window_follows_n_fft_unless_it_is_given() -> None:
    assert PRESETS["log-mel"][0].changed(n_fft=1024).win_length == 1024
    assert PRESETS["log-mel"][0].changed(n_fft=1024, win_length=400).win_length == 400


def test_an_unknown_name_is_told_with_what_is_near() -> None:
    with pytest.raises(UsageError) as told:
        named("logmel")
    assert "did you mean log-mel?" in str(told.value.help)
