"""A plugin that nobody asked for does not run: what pip writes down decides, and the user."""

from __future__ import annotations

import subprocess
import sys

import pytest
from wheels import wheel

from voxcli.plugins import choices
from voxcli.plugins.looks import index
from voxcli.plugins.manager import Manager

pytestmark = pytest.mark.usefixtures("fakes")

RUNS = """
    import pathlib
    from voxcli.api import hookimpl
    pathlib.Path({ran!r}).write_text("ran")
    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "tones", "vox_tones:Tones")
    """


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VOX_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(index, "_scans", {})


@pytest.fixture
def tones_from(install, tmp_path):
    """`tones_from(INSTALLER=…)`: installs vox-tones with these files beside its metadata; where it says that it ran."""
    ran = tmp_path / "ran"

    def make(**metadata):
        install("vox-tones", "1.2", {"vox_tones": RUNS.format(ran=str(ran))}, **metadata)
        return ran

    return make


def state():
    manager = Manager()
    manager.wait()
    (tones,) = manager.plugins
    return tones.state, tones.reason


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"INSTALLER": "pip\n"}, "held"),
        ({"INSTALLER": "uv"}, "held"),
        ({"INSTALLER": "pip\n", "REQUESTED": ""}, "ok"),
        ({"INSTALLER": "uv", "REQUESTED": ""}, "ok"),
        ({"INSTALLER": "conda"}, "ok"),
        ({}, "ok"),
    ],
)
def test_what_an_installer_wrote_decides(tones_from, metadata, expected):
    ran = tones_from(**metadata)
    assert state()[0] == expected
    assert ran.exists() == (expected == "ok")


def test_a_plugin_that_is_held_is_named_once_and_runs_when_it_is_enabled(vox_project, tones_from, good):
    ran = tones_from(INSTALLER="pip\n")
    project = vox_project({"r.toml": good, "recordings/.keep": ""})
    assert project.run("recipe", "check", "r.toml").assert_ok().err == ""
    said = project.run("--help").assert_ok().err
    assert said == (
        "warning: plugin tones (vox-tones 1.2) is held: it came as a dependency, nobody asked for it; "
        "`vox plugins enable vox-tones` lets it run\n"
    )
    assert project.run("--help").assert_ok().err == ""
    assert not ran.exists()
    choices.enable("vox-tones")
    assert "tones" in Manager().registry.names("dataset")
    assert ran.exists()


def test_a_component_of_a_plugin_that_is_switched_off_says_how_to_have_it(vox_project, install, tones, good):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    project = vox_project({"r.toml": good})
    asked = ("recipe", "check", "r.toml", 'data=[{type = "tones"}]')
    project.run(*asked).assert_ok()
    choices.disable("vox-tones:tones")
    said = project.run(*asked).assert_code(2).err
    assert "no dataset is called 'tones'" in said
    assert "`vox plugins enable vox-tones`" in said
    choices.enable("vox-tones:tones")
    project.run(*asked).assert_ok()


def test_pip_writes_down_what_was_asked_for(tmp_path, vox):
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheel(wheels, "vox-tones", "1.0", {"vox_tones.py": "x = 1\n"})
    wheel(wheels, "vox-direct", "1.0", {"vox_direct.py": "x = 1\n"})
    wheel(wheels, "an-app", "1.0", {"an_app.py": "x = 1\n"}, points=None, needs=["vox-tones"])
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*command, "--target", str(site), "an-app", "vox-direct"], check=True, timeout=120)
    listed = vox(site, "plugins", "list").stdout
    assert "\ntones " in listed
    state_of = {
        line.split()[0]: line.split()[3]
        for line in listed.splitlines()
        if line.split()[1:2] == ["vox-tones"] or line.split()[1:2] == ["vox-direct"]
    }
    assert state_of == {"tones": "held", "direct": "ok"}
