"""Augmentations that change nothing, that make clips too long, impulse responses that are recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from voxcli.api import Finding
from voxcli.doctor.checks.recipe.augmentation_effect import AugmentationWithoutEffect
from voxcli.doctor.checks.recipe.augmentation_window import AugmentationBeyondWindow
from voxcli.doctor.checks.recipe.impulse_responses import ImpulseResponseTooLong
from voxcli.doctor.context import Context
from voxcli.doctor.subject import subject
from voxcli.recipe.render import toml
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper

RATE = 16000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_ctc(folder / "ctc")
    tiny_whisper(folder / "whisper", window=3)
    return folder


@pytest.fixture
def found(
    vox_project: Callable[..., Project], models: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Finding]]:
    """What a check says of a recipe with some augmentations; clips have 0.24 s to 1.7 s."""
    project = vox_project()
    project.speech(texts=["ab", "abcd", "abcdefghabcdefghabcd"], n=6)
    monkeypatch.chdir(project.path)

    def run(check: type, *augment: dict[str, Any], model: str = "ctc") -> list[Finding]:
        table = {
            "name": "r",
            "data": [{"type": "manifest", "path": "data/manifest.csv"}],
            "augment": list(augment),
            "model": {"type": model, "checkpoint": str(models / model)},
            "train": {"max_steps": 1, "batch_duration": 8.0},
        }
        project.write({"r.toml": toml(table)})
        return list(check().run(Context(subject("r.toml"))))

    return run


@pytest.mark.parametrize(
    ("augment", "key", "why"),
    [
        ({"type": "pitch", "semitones": [0.0, 0.0]}, "semitones", "semitones is 0"),
        ({"type": "time-stretch", "factors": [1.0, 1.0]}, "factors", "every factor is 1.0"),
        ({"type": "low-pass", "cutoff": [9000.0, 10000.0]}, "cutoff", "nothing above 8000 Hz"),
        ({"type": "spec-augment", "time_masks": 0, "frequency_masks": 0}, "type", "it has no masks"),
        ({"type": "codec", "p": 0.0}, "p", "p is 0"),
    ],
)
def test_what_changes_nothing_is_named(
    found: Callable[..., list[Finding]], augment: dict[str, Any], key: str, why: str
) -> None:
    [finding] = found(AugmentationWithoutEffect, {"type": "clipping"}, augment)
    assert finding.path == ("augment", 1, key)
    assert why in finding.message
    assert finding.fix is not None
    assert finding.fix.changes == {"augment.1": None}


def test_whatever_changes_something_is_left_alone(found: Callable[..., list[Finding]]) -> None:
    names = (
        "speed",
        "pitch",
        "clipping",
        "low-pass",
        "telephone",
        "codec",
        "time-mask",
        "spec-augment",
        "mix",
        "reverb",
    )
    assert found(AugmentationWithoutEffect, *({"type": name} for name in names)) == []


def test_joined_clips_beyond_the_window(found: Callable[..., list[Finding]]) -> None:
    [finding] = found(AugmentationBeyondWindow, {"type": "mix", "mode": "join", "max_duration": 6.0}, model="whisper")
    assert "joining two utterances makes 2 of 6 training clips longer than the window of 3 s" in finding.message
    assert "max_duration = 3 in [[augment]]" in (finding.help or "")
    assert found(AugmentationBeyondWindow, {"type": "mix", "mode": "join", "max_duration": 3.0}, model="whisper") == []
    [finding] = found(AugmentationBeyondWindow, {"type": "time-stretch", "factors": [0.5, 1.0]}, model="whisper")
    assert "slower speech" in finding.message


def rings(path: Path, seconds: float, silence: float = 0.0) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.concatenate([sound, np.zeros(int(silence * RATE))]), RATE)


def test_a_recording_among_impulse_responses(found: Callable[..., list[Finding]]) -> None:
    reverb = {"type": "reverb", "root": "rooms"}
    rings(Path("rooms/small.wav"), 0.1, silence=4.0)  # the silence at its end does not ring
    assert found(ImpulseResponseTooLong, reverb) == []
    rings(Path("halls/hall.wav"), 1.0)
    [note] = found(ImpulseResponseTooLong, {**reverb, "root": "halls"})
    assert note.level == "note"
    assert "4 training clips are shorter" in note.message
    rings(Path("songs/song.wav"), 3.0)
    [wrong] = found(ImpulseResponseTooLong, {"type": "gain"}, {**reverb, "root": "songs"})
    assert wrong.level == "error"
    assert wrong.path == ("augment", 1, "root")
    assert "song.wav rings for 3.0 s, longer than every training clip: the longest has 1.7 s" in wrong.message
    assert found(ImpulseResponseTooLong, {**reverb, "root": "songs", "p": 0.0}) == []
    assert found(ImpulseResponseTooLong, {"type": "reverb"}) == []


def test_training_is_refused_before_it_begins(found: Callable[..., list[Finding]]) -> None:
    rings(Path("songs/song.wav"), 3.0)
    found(ImpulseResponseTooLong, {"type": "reverb", "root": "songs"})
    result = Project(Path.cwd()).run("train", "r.toml")
    assert result.code != 0
    assert "R140" in result.err
    assert not Path("runs").exists()
