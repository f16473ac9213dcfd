"""What holds of every augmentation: it follows its generator alone, keeps its bounds, and names wrong keys."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from voxcli.augment.audiomentations import Audiomentations
from voxcli.augment.clipping import Clipping
from voxcli.augment.codec import Codec
from voxcli.augment.gain import Gain
from voxcli.augment.low_pass import LowPass
from voxcli.augment.mix import Mix
from voxcli.augment.noise import Noise
from voxcli.augment.pitch import Pitch
from voxcli.augment.reverb import Reverb
from voxcli.augment.spec_augment import SpecAugment
from voxcli.augment.speed import Speed
from voxcli.augment.telephone import Telephone
from voxcli.augment.time_mask import TimeMask
from voxcli.augment.time_stretch import TimeStretch

RATE = 16000
SOUND = np.random.default_rng(5)
SPEECH = (0.1 * SOUND.standard_normal(RATE // 2) * np.abs(np.sin(np.arange(RATE // 2) / 700))).astype(np.float32)
MADE: dict[str, Callable[[Path], Any]] = {
    "noise": lambda folder: Noise(root=folder),
    "babble": lambda folder: Noise(root=folder, voices=(2, 3)),
    "speed": lambda folder: Speed(factor_range=(0.9, 1.1)),
    "gain": lambda folder: Gain(),
    "rooms": lambda folder: Reverb(),
    "responses": lambda folder: Reverb(root=folder),
    "time-stretch": lambda folder: TimeStretch(),
    "pitch": lambda folder: Pitch(),
    "clipping": lambda folder: Clipping(),
    "low-pass": lambda folder: LowPass(),
    "telephone": lambda folder: Telephone(),
    "codec": lambda folder: Codec(),
    "time-mask": lambda folder: TimeMask(),
    "spec-augment": lambda folder: SpecAugment(),
    "audiomentations": lambda folder: Audiomentations(transform="SevenBandParametricEQ"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    for name in "abc":
        decay = np.exp(-np.arange(2000) / 300)
        soundfile.write(root / f"{name}.wav", 0.3 * SOUND.standard_normal(2000) * decay, RATE)
    return root


@pytest.mark.parametrize("name", MADE)
def test_what_is_drawn_follows_the_generator_alone(name: str, folder: Path) -> None:
    augmentation = MADE[name](folder)
    before = random.getstate(), np.random.get_state()[1].tolist()
    first = augmentation(SPEECH, RATE, np.random.default_rng(7))
    random.random(), np.random.rand()
    assert np.array_equal(first, augmentation(SPEECH, RATE, np.random.default_rng(7)))
    others = (augmentation(SPEECH, RATE, np.random.default_rng(seed)) for seed in range(8, 16))
    assert any(not np.array_equal(first, other) for other in others)
    random.setstate(before[0])
    np.random.seed(3)
    ours = random.getstate(), np.random.get_state()[1].tolist()
    augmentation(SPEECH, RATE, np.random.default_rng(1))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == ours


@pytest.mark.parametrize("name", MADE)
def test_the_shape_of_what_comes_out(name: str, folder: Path) -> None:
    augmentation = MADE[name](folder)
    kept = SPEECH.copy()
    for seed in range(3):
        changed = augmentation(SPEECH, RATE, np.random.default_rng(seed))
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert changed.ndim == 1
        duration = len(SPEECH) / RATE
        shortest = getattr(augmentation, "shortest", lambda seconds: seconds)(duration)
        assert shortest - 1 / RATE <= len(changed) / RATE <= augmentation.longest(duration) + 1 / RATE
    assert np.array_equal(SPEECH, kept)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("length", [1, 37, 400])
def test_clips_of_a_few_samples_and_silence(name: str, length: int, folder: Path) -> None:
    augmentation = MADE[name](folder)
    for audio in (SPEECH[:length], np.zeros(length, dtype=np.float32)):
        assert np.isfinite(augmentation(audio, RATE, np.random.default_rng(0))).all()


WRONG: list[tuple[Any, str]] = [
    (Gain(p=2.0), "p"),
    (Gain(gain_db=(float("nan"), 0.0)), "gain_db"),
    (TimeStretch(factors=(0.0, 1.0)), "factors"),
    (Pitch(semitones=(-40.0, 0.0)), "semitones"),
    (Clipping(clipped=(0.1, 0.9)), "clipped"),
    (LowPass(cutoff=(0.0, 4000.0)), "cutoff"),
    (Telephone(band=(300.0, 8000.0)), "band"),
    (Telephone(band=(300.0, 300.0)), "band"),
    (Codec(codecs=()), "codecs"),
    (Codec(bitrate=(1.0, 2.0)), "bitrate"),
    (TimeMask(masks=(-1, 2)), "masks"),
    (TimeMask(duration=(0.1, 60.0)), "duration"),
    (TimeMask(most=1.5), "most"),
    (SpecAugment(frequency_width=200), "frequency_width"),
    (Reverb(t60=(0.0, 0.5)), "t60"),
    (Reverb(sides=(0.1, 5.0)), "sides"),
    (Reverb(labels=("hall",)), "labels"),
    (Reverb(root=Path("nowhere")), "root"),
    (Mix(voices=(0, 1)), "voices"),
    (Mix(max_duration=0.0), "max_duration"),
    (Mix(gap=(-1.0, 0.0)), "gap"),
]


@pytest.mark.parametrize(("augmentation", "key"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_keys_are_named_with_a_repair(augmentation: Any, key: str) -> None:
    [finding] = augmentation.findings()
    assert finding.path == (key,)
    assert finding.level == "error"
    assert finding.help


@pytest.mark.parametrize("name", [*MADE, "mix"])
def test_defaults_have_nothing_wrong_and_change_something(name: str, folder: Path) -> None:
    augmentation = Mix() if name == "mix" else MADE[name](folder)
    assert list(augmentation.findings()) == []
    assert getattr(augmentation, "idle", lambda rate: None)(RATE) is None


@pytest.mark.parametrize(
    ("augmentation", "why"),
    [
        (Speed(factors=(1.0,)), "every factor is 1.0"),
        (TimeStretch(factors=(1.0, 1.0)), "every factor is 1.0"),
        (Gain(gain_db=(0.0, 0.0)), "gain_db is 0 dB"),
        (Pitch(semitones=(0.0, 0.0)), "semitones is 0"),
        (Clipping(clipped=(0.0, 0.0)), "clipped is 0"),
        (LowPass(cutoff=(9000.0, 12000.0)), "nothing above 8000 Hz"),
        (TimeMask(masks=(0, 0)), "masks is 0"),
        (SpecAugment(frequency_masks=0, time_masks=0), "no masks"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_changes_nothing_says_so(augmentation: Any, why: str) -> None:
    assert why in augmentation.idle(RATE)
    changed = augmentation(SPEECH, RATE, np.random.default_rng(0))
    assert np.allclose(changed, SPEECH, atol=2e-3)
