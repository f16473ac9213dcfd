"""`vox augment preview`: what is written is what training hears; wrong ids and recipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from voxcli.data.loading import Loader
from voxcli.recipe.resolve import resolve
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc
from voxcli.train.reading import splits_of

RECIPE = """
name = "r"
[[data]]
type = "manifest"
path = "data/manifest.csv"
[[augment]]
type = "speed"
factors = [0.8]
[[augment]]
type = "gain"
p = 0.5
[[augment]]
type = "mix"
p = 1.0
snr_db = [10.0, 10.0]
[model]
type = "ctc"
checkpoint = "model"
[train]
max_steps = 1
batch_duration = 8.0
"""


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project({"r.toml": RECIPE})
    made.speech(texts=["ab", "abc", "aaaa"], n=6)
    tiny_ctc(made.path / "model")
    return made


def samples_of(project: Project, name: str) -> np.ndarray:
    return soundfile.read(project.path / name, dtype="float32")[0]


def test_what_is_written_is_what_training_hears(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    result = project.run("augment", "preview", "r.toml", "--utterance", "train-001", "--count", "2")
    out = result.assert_ok().out
    folder = "preview/audio_train-001.wav"
    assert 'audio/train-001.wav: 0.32 s, "abc"' in out
    assert "0.32 s -> 0.40 s" in out
    assert "SNR 10.0 dB" in out
    assert f"{folder}/epoch-1.wav" in out
    monkeypatch.chdir(project.path)
    recipe = resolve("r.toml")
    limits = recipe.model.limits()
    table = splits_of(recipe, limits, splits=("train",)).train
    row = list(table.ids).index("audio/train-001.wav")

    class Samples:
        """A task whose features are the samples."""

        def problem(self, utterance: object, limits: object, bundle: object) -> None: ...

        def features(self, utterance: object, audio: np.ndarray, bundle: object) -> dict[str, np.ndarray]:
            return {"audio": audio}

        def collate(self, items: list[dict[str, np.ndarray]], bundle: object) -> dict[str, np.ndarray]:
            return items[0]

    from voxcli.api import Bundle

    for epoch in (0, 1):
        loader = Loader(
            table,
            [np.asarray([row])],
            task=Samples(),  # type: ignore[arg-type]
            bundle=Bundle(None, None, recipe.model),  # type: ignore[arg-type]
            augment=recipe.augment,
            sampling_rate=16000,
            seed=recipe.seed,
            epoch=epoch,
        )
        heard = next(iter(loader)).tensors["audio"]
        assert np.allclose(samples_of(project, f"{folder}/epoch-{epoch}.wav"), heard, atol=1e-4)
    assert len(samples_of(project, f"{folder}/original.wav")) == 0.32 * 16000


def test_a_picture_of_all(project: Project) -> None:
    from PIL import Image

    project.run("augment", "preview", "r.toml", "--out", "seen", "--count", "1").assert_ok()
    with Image.open(project.path / "seen" / "spectrograms.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    panel = len(pixels) // 2
    for top in (0, panel):
        assert len(np.unique(pixels[top : top + panel].reshape(-1, 3), axis=0)) > 50
    assert not np.array_equal(pixels[:panel], pixels[panel : 2 * panel])


def test_json_and_every_augmentation(project: Project) -> None:
    result = project.run("augment", "preview", "r.toml", "augment.1.p=0.01", "--always", "--epoch", "5", "--json")
    table = json.loads(result.assert_ok().out)
    assert table["utterance"].startswith("audio/train-00")
    assert [one["epoch"] for one in table["epochs"]] == [5, 6, 7]
    first = table["epochs"][0]
    assert [one["name"] for one in first["augmentations"]] == ["speed", "gain", "mix"]
    assert all(one["applied"] for one in first["augmentations"])
    assert first["duration"] == pytest.approx(table["duration"] / 0.8, rel=1e-3)
    assert first["augmentations"][2]["snr"] == pytest.approx(10.0, abs=0.3)
    assert first["problem"] is None


def test_without_pillow_there_is_sound(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    result = project.run("augment", "preview", "r.toml", "--out", "seen").assert_ok()
    assert "pip install 'voxcli[augment]'" in result.err
    assert "picture" not in result.out
    assert (project.path / "seen" / "epoch-2.wav").is_file()


def test_what_training_would_pass_over_is_said(project: Project) -> None:
    project.write({"quick.toml": RECIPE.replace('type = "gain"\np = 0.5', 'type = "speed"\nfactors = [4.0]')})
    result = project.run("augment", "preview", "quick.toml", "augment.0.factors=[4.0]", "--count", "1")
    assert "training passes it over in this epoch: 0.020 s is shorter than" in result.assert_ok().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("r.toml", "--utterance", "audio/trian-001.wav"), 2, "did you mean 'audio/train-001.wav'"),
        (("r.toml", "--utterance", "audio/test-000.wav"), 2, "is of test: nothing augments it"),
        (("r.toml", "filter.max_duration=0.35", "--utterance", "audio/train-002.wav"), 2, "left out by [filter]"),
        (("r.toml", "~augment"), 2, "has no [[augment]]"),
        (("r.toml", "augment.0.type=sped"), 2, "no augmentation is called 'sped'"),
        (("r.toml", "--count", "0"), 2, "--count"),
        (("missing.toml",), 2, "missing.toml"),
    ],
)
def test_wrong_arguments(project: Project, arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in project.run("augment", "preview", *arguments).assert_code(code).err


def test_audio_that_cannot_be_read(project: Project) -> None:
    recipe = project.run("augment", "preview", "r.toml", "--utterance", "audio/train-001.wav").assert_ok()
    (project.path / "data/audio/train-001.wav").write_bytes(b"RIFF....nothing of a sound" * 9)
    result = project.run("augment", "preview", "r.toml", "--utterance", "audio/train-001.wav")
    assert result.code != 0, recipe
    assert "train-001.wav" in result.err
