"""`vox classify` by an engine of a plugin that shows no model behind it: whole recordings, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from voxcli.testing import Project

PLUGIN = '''
"""Classes by loudness, and an engine that writes text."""
from voxcli.api import Classification, Decoding, Transcript, hookimpl


class Loudness:
    sampling_rate = 16_000
    decoding = Decoding()

    @classmethod
    def open(cls, name, *, device=None, batch_duration=120.0):
        return cls()

    def transcribe_batch(self, audio, decoding):
        return [self._one(clip) for clip in audio]

    def _one(self, clip):
        if len(clip) > 30 * self.sampling_rate:
            return None
        loud = min(float(abs(clip).max()), 1.0)
        ordered = sorted((("loud", loud), ("quiet", 1 - loud)), key=lambda one: -one[1])
        names, scores = zip(*ordered)
        return Classification(names, scores, names[:1], len(clip) / self.sampling_rate)


class Scribe(Loudness):
    def _one(self, clip):
        return Transcript("hello")


@hookimpl
def vox_register(registry):
    registry.add("engine", "loudness", "loudness:Loudness", summary="classes by loudness")
    registry.add("engine", "scribe", "loudness:Scribe", summary="writes text")
'''


@pytest.fixture
def project(vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    import numpy as np
    import soundfile

    made = vox_project({"loudness.py": PLUGIN, "model/config.json": "{}"})
    monkeypatch.syspath_prepend(str(made.path))
    for name, level, seconds in (("a", 0.9, 1.0), ("b", 0.1, 1.0), ("long", 0.5, 31.0)):
        soundfile.write(made.path / f"{name}.wav", np.full(int(16_000 * seconds), level, np.float32), 16_000)
    return made


def classify(project: Project, *arguments: str, engine: str = "loudness") -> list[str]:
    plugin = ("--plugin", str(project.path / "loudness.py"))
    return [*plugin, "classify", *arguments, "--model", "model", "--engine", engine]


def test_whole_recordings_in_every_format(project: Project) -> None:
    shown = project.run(*classify(project, "a.wav", "b.wav", "--top-k", "1", "--threshold", "0.905")).assert_ok()
    assert shown.out == "a.wav  nothing\nb.wav  nothing\n"
    shown = project.run(*classify(project, "a.wav", "b.wav", "--top-k", "1", "--threshold", "0.85")).assert_ok()
    assert [line.split()[1] for line in shown.out.splitlines()] == ["loud", "quiet"]
    one = project.run(*classify(project, "long.wav", "a.wav", "--json")).assert_code(1)
    bad, good = map(json.loads, one.out.splitlines())
    assert bad["error"] == "long.wav: 31.0 s of audio do not fit the memory, even alone"
    assert good["labels"] == ["loud"]
    assert set(good["scores"]) == {"loud", "quiet"}


@pytest.mark.parametrize("option", [("--window", "1"), ("--stride", "1"), ("--aggregate", "max"), ("--by-window",)])
def test_windows_cannot_be_asked_of_it(option: tuple[str, ...], project: Project) -> None:
    refused = project.run(*classify(project, "a.wav", *option)).assert_code(2)
    assert f"the engine 'loudness' hears whole recordings: {option[0]} cannot be asked of it" in refused.err


def test_an_engine_that_writes_text_and_options_that_nobody_takes(project: Project) -> None:
    text = project.run(*classify(project, "a.wav", engine="scribe")).assert_code(1)
    assert "this model writes text: it has no classes" in text.err
    options = project.run(*classify(project, "a.wav", "--engine-option", "threads=2", engine="transformers"))
    assert "the engine 'transformers' takes no options" in options.assert_code(2).err
