"""What a run remembers of its plugins, and what a resume says where they are others."""

from __future__ import annotations

import json
import sys

import pytest
from wheels import unpack, wheel

from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "r"
    seed = 3

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [[augment]]
    type = "louder"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = 1
    per_device_train_batch_size = 2

    [evaluate]
    metrics = ["cer"]
    max_utterances = 2
    """
LOUDER = """
    from voxcli.api import config, hookimpl

    @config
    class Louder:
        p: float = 0.5
        factor: float = 1.1

        def __call__(self, audio, sampling_rate, rng):
            return (audio * self.factor).clip(-1, 1)

        def longest(self, duration):
            return duration

    @hookimpl
    def vox_register(registry):
        registry.add("augmentation", "louder", "vox_louder:Louder")
    """


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("vox_louder", None)


def install(site, version):
    for old in site.glob("vox_louder-*/*"):
        old.unlink()
    return unpack(wheel(site.parent / "wheels", "vox-louder", version, {"vox_louder.py": LOUDER}), site)


def test_a_run_is_held_to_the_plugins_it_was_made_with(vox_project, site):
    install(site, "1.0")
    project = vox_project({"r.toml": RECIPE})
    project.speech("data", n=4)
    tiny_ctc(project.path / "base")
    project.run("plugins", "lock").assert_ok()
    project.run("train", "r.toml", "--locked", "--no-doctor").assert_ok()
    lock = project.path / "runs/r/lock.json"
    first = json.loads(lock.read_text())["plugins"]
    assert list(first) == ["vox-louder"]
    assert first["vox-louder"]["version"] == "1.0"
    assert first["vox-louder"]["hash"] in (project.path / "vox-plugins.lock").read_text()

    again = ("train", "runs/r", "train.max_steps=2", "--resume", "--no-doctor")
    install(site, "1.1")
    refused = project.run(*again, "--locked").assert_code(2).err
    assert "plugin vox-louder 1.1 is installed, " in refused
    assert "runs/r has 1.0" in refused

    # the project's lock has the new one, and the run still began with the other
    project.run("plugins", "lock").assert_ok()
    refused = project.run(*again, "--locked=vox-plugins.lock").assert_code(1).err
    assert "the plugins are not those this run began with: vox-louder 1.0 -> 1.1" in refused
    assert json.loads(lock.read_text())["plugins"] == first

    went_on = project.run(*again).assert_ok().err
    assert "warning: the plugins are not those this run began with: vox-louder 1.0 -> 1.1" in went_on
    assert json.loads(lock.read_text())["plugins"]["vox-louder"]["version"] == "1.1"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"vox-a": {"version": "1", "hash": "x"}}, {"vox-a": {"version": "1", "hash": "y"}}, "vox-a 1 has other files"),
        ({}, {"vox-a": {"version": "1", "hash": "x"}}, "vox-a 1 is new"),
        ({"vox-a": "1"}, {}, "vox-a 1 is gone"),
        ({"mine.py": {"file": "mine.py", "hash": "x"}}, {}, "mine.py is gone"),
    ],
)
def test_each_kind_of_change_is_said(before, now, said):
    from voxcli.errors import TrainingError
    from voxcli.train.continuation import check_plugins

    check_plugins(before, before, locked=True)
    check_plugins(
        {"voxcli": "0.0.1", "vox-a": "1"}, {"vox-a": {"version": "1", "hash": "x"}}, locked=True
    )  # an old one
    with pytest.raises(TrainingError, match=f": {said}$"):
        check_plugins(before, now, locked=True)
