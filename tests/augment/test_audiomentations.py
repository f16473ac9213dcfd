"""Transforms of the library by their names: drawn from our generator, in any thread; wrong names and arguments."""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from voxcli.augment.audiomentations import Audiomentations, transforms
from voxcli.errors import DataError

RATE = 16000
SPEECH = (0.1 * np.random.default_rng(0).standard_normal(RATE // 2)).astype(np.float32)
SLOWER = {"min_rate": 0.8, "max_rate": 0.8, "leave_length_unchanged": False}


def changed(augmentation: Audiomentations, seed: int) -> np.ndarray:
    return augmentation(SPEECH, RATE, np.random.default_rng(seed))


def test_threads_draw_what_one_draws() -> None:
    augmentation = Audiomentations(transform="TanhDistortion")
    alone = [changed(augmentation, seed) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: changed(augmentation, seed), range(24)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
    assert len({one.tobytes() for one in alone}) == 24


def test_the_global_generators_go_on_where_they_were_even_after_an_error() -> None:
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    changed(Audiomentations(transform="AddGaussianNoise"), 5)
    with pytest.raises(DataError):
        changed(Audiomentations(transform="TimeStretch", args=SLOWER), 5)
    assert (random.random(), np.random.rand()) == expected


def test_arguments_reach_the_transform() -> None:
    louder = Audiomentations(transform="Gain", args={"min_gain_db": 6.0, "max_gain_db": 6.0})
    assert np.allclose(changed(louder, 0), SPEECH * 10 ** (6 / 20), rtol=1e-4)
    louder = Audiomentations(transform="Gain", p=0.1, args={"min_gain_db": 6.0, "max_gain_db": 6.0})
    assert not np.array_equal(changed(louder, 0), SPEECH)  # p is the loader's


def test_longer_clips_have_to_be_announced() -> None:
    with pytest.raises(DataError, match=r"1\.25 times as long") as error:
        changed(Audiomentations(transform="TimeStretch", args=SLOWER), 0)
    assert error.value.help is not None
    assert "lengthens = 1.3" in error.value.help
    longer = Audiomentations(transform="TimeStretch", args=SLOWER, lengthens=1.3)
    assert len(changed(longer, 0)) == pytest.approx(1.25 * len(SPEECH), rel=0.01)
    assert longer.longest(2.0) == 2.6
    assert Audiomentations(transform="TimeStretch", shortens=0.8).shortest(2.0) == 1.6


@pytest.mark.parametrize(
    ("keys", "path", "message", "help"),
    [
        ({"transform": "TanhDistorsion"}, ("transform",), "no transform 'TanhDistorsion'", "'TanhDistortion'"),
        ({"transform": "pitch-shift"}, ("transform",), "no transform", "'PitchShift'"),
        ({"transform": "OneOf"}, ("transform",), "no transform 'OneOf'", "one [[augment]] for each"),
        ({"transform": "Gain", "args": {"min_gain": 1}}, ("args", "min_gain"), "no argument 'min_gain'", "min_gain_db"),
        ({"transform": "Gain", "args": {"p": 0.5}}, ("args", "p"), "args.p is set", "p beside"),
        ({"transform": "Clip", "args": {"a_min": 2.0}}, ("args",), "refuses its arguments", "a_min, a_max"),
        ({"transform": "AddBackgroundNoise"}, ("args",), "sounds_path", "sounds_path"),
        ({"transform": "TimeStretch", "args": SLOWER}, ("lengthens",), "times as long", "lengthens ="),
        ({"transform": "Gain", "lengthens": 0.5}, ("lengthens",), "lengthens is 0.5", "1.25"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_findings(keys: dict[str, object], path: tuple[str, ...], message: str, help: str) -> None:
    finding = next(Audiomentations(**keys).findings())  # type: ignore[arg-type]
    assert finding.path == path
    assert message in finding.message
    assert help in (finding.help or "")


def test_a_transform_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "numpy_audio_limiter", None)
    [finding] = Audiomentations(transform="Limiter").findings()
    assert "numpy_audio_limiter" in finding.message
    assert "audiomentations[extras]" in (finding.help or "")
    assert capfd.readouterr() == ("", "")  # the library prints


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    [finding] = Audiomentations(transform="Gain").findings()
    assert finding.help == "install it: pip install 'voxcli[augment]'"


def test_what_there_is() -> None:
    assert {"TanhDistortion", "PitchShift", "AirAbsorption"} <= set(transforms())
    assert len(transforms()) > 30
