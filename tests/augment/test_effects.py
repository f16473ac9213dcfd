"""What each augmentation does, measured."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.augment.clipping import Clipping
from voxcli.augment.codec import Codec
from voxcli.augment.low_pass import LowPass
from voxcli.augment.pitch import Pitch
from voxcli.augment.spec_augment import SpecAugment
from voxcli.augment.telephone import Telephone
from voxcli.augment.time_mask import TimeMask
from voxcli.augment.time_stretch import TimeStretch

RATE = 16000
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
NOISE = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pitch_of(audio: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 4 * RATE))) / 4)


def bands(audio: np.ndarray) -> np.ndarray:
    """Power of each Hz of a second, the edges faded."""
    return np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2


@pytest.mark.parametrize("semitones", [-7.0, -2.0, 3.0, 12.0])
def test_pitch_moves_by_semitones(semitones: float) -> None:
    changed = Pitch(semitones=(semitones, semitones))(TONE, RATE, rng())
    assert len(changed) == len(TONE)
    assert pitch_of(changed) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.005)


def test_tempo_keeps_the_pitch() -> None:
    changed = TimeStretch(factors=(0.8, 0.8))(TONE, RATE, rng())
    assert len(changed) == len(TONE) / 0.8
    assert pitch_of(changed) == pytest.approx(440, abs=1)
    assert TimeStretch(factors=(0.8, 1.25)).longest(4.0) == 5.0
    assert TimeStretch(factors=(0.8, 1.25)).shortest(4.0) == 3.2


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_as_many_samples_are_clipped_as_drawn(share: float) -> None:
    changed = Clipping(clipped=(share, share))(NOISE, RATE, rng())
    at_top = np.abs(changed) >= np.abs(changed).max() * 0.9999
    assert at_top.mean() == pytest.approx(share, rel=0.05)
    assert np.array_equal(changed[~at_top], NOISE[~at_top])


def test_low_pass_leaves_nothing_above() -> None:
    before, after = bands(NOISE), bands(LowPass(cutoff=(4000.0, 4000.0))(NOISE, RATE, rng()))
    assert after[:3500].sum() == pytest.approx(before[:3500].sum(), rel=0.01)
    assert after[4600:].sum() < 1e-8 * before[4600:].sum()


@pytest.mark.parametrize("laws", [(), ("mu",), ("a",)])
def test_a_telephone_has_its_band(laws: tuple[str, ...]) -> None:
    line = Telephone(laws=laws)(NOISE, RATE, rng())  # type: ignore[arg-type]
    power = bands(line)
    assert power[4100:].mean() < 1e-6 * power[500:3000].mean()
    assert power[30:200].mean() < 1e-2 * power[500:3000].mean()
    assert power[500:3000].mean() == pytest.approx(bands(NOISE)[500:3000].mean(), rel=0.05)


def test_g711_is_heard_as_little_noise() -> None:
    """Eight bits by the logarithm: about 38 dB, whatever the level."""
    clean = Telephone(laws=())(NOISE, RATE, rng())
    for law in ("mu", "a"):
        line = Telephone(laws=(law,))(NOISE, RATE, rng())  # type: ignore[arg-type]
        rest = 10 * np.log10((clean.astype(np.float64) ** 2).sum() / ((line.astype(np.float64) - clean) ** 2).sum())
        assert 30 < rest < 45


def test_codecs_are_drawn_each() -> None:
    codec = Codec(codecs=("mp3", "gsm"), bitrate=(32.0, 32.0))
    made = [codec(NOISE[:8000], RATE, rng(seed)) for seed in range(6)]
    different = {one.tobytes() for one in made}
    assert len(different) == 2
    assert all(len(one) == 8000 for one in made)


def test_stretches_are_muted_up_to_their_share() -> None:
    muted = TimeMask(masks=(2, 2), duration=(0.05, 0.05), most=0.5)(NOISE, RATE, rng(1)) == 0
    assert 0.05 < muted.mean() <= 0.101
    assert (np.diff(muted.astype(int)) == 1).sum() <= 3
    muted = TimeMask(masks=(5, 5), duration=(0.2, 0.2), most=0.1)(NOISE, RATE, rng(1)) == 0
    assert muted.mean() <= 0.1
    before = np.ones(RATE, dtype=np.float32)
    steps = np.abs(np.diff(TimeMask(masks=(1, 1))(before, RATE, rng())))
    assert 0 < steps.max() < 0.05  # faded in and out, no click


def test_spec_augment_takes_a_band_out_of_the_whole_clip() -> None:
    masks = SpecAugment(frequency_masks=1, frequency_width=27, time_masks=0)
    shares = []
    for seed in range(6):
        changed = bands(masks(NOISE, RATE, rng(seed))) / np.maximum(bands(NOISE), 1e-12)
        hertz = np.convolve(changed < 1e-3, np.ones(40) / 40, "same") > 0.8
        shares.append(hertz.mean())
    assert 0.03 < max(shares) < 0.7


def test_spec_augment_takes_a_stretch_out_of_all_bands() -> None:
    masks = SpecAugment(frequency_masks=0, time_masks=1, time_width=1.0, most=0.3)
    changed = [masks(NOISE, RATE, rng(seed)) for seed in range(6)]
    silent = [float((np.convolve(np.abs(one), np.ones(80) / 80, "same") < 1e-6).mean()) for one in changed]
    assert 0.1 < max(silent) <= 0.3
    kept = np.abs(changed[0]) > 0
    assert np.allclose(changed[0][:400], NOISE[:400], atol=1e-5) or not kept[:400].all()


def test_spec_augment_without_masks_gives_the_clip_back() -> None:
    for length in (RATE, RATE - 77, 5):
        unmasked = SpecAugment(frequency_masks=0, time_masks=0)(NOISE[:length], RATE, rng())
        assert np.allclose(unmasked, NOISE[:length], atol=1e-5)
