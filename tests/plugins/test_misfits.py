"""Functions that were meant to be hooks, and names that two plugins claim: one text in `plugins list` and `doctor`."""

from __future__ import annotations

import json
import re

import pytest

from voxcli.plugins.manager import Manager

HOOKS = ("vox_commands", "vox_register", "vox_run_checkpoint", "vox_run_end", "vox_run_log", "vox_run_start")


@pytest.fixture
def loaded(install):
    """`loaded(source)`: the manager with one plugin of that source."""

    def make(source):
        install("vox-one", "1.0", {"vox_one": source})
        manager = Manager()
        manager.wait()
        return manager

    return make


@pytest.mark.parametrize("hook", HOOKS)
def test_a_letter_that_is_missing_is_seen(loaded, hook):
    (misfit,) = loaded(f"def {hook[:-1]}(run): pass").misfits()
    assert misfit.message == f"plugin one: '{hook[:-1]}' is no hook of voxcli and is never called"
    assert misfit.help.startswith(f"did you mean `{hook}`?")


@pytest.mark.parametrize(
    "source",
    [
        "def vox_register(registry): pass",  # works without the mark
        "def vox_version(): pass",
        "vox_run_end = None",
        "from os.path import join as vox_run_end",
        "from voxcli.api import hookimpl\n@hookimpl\ndef vox_run_log(metrics, *, loud=True): print(metrics)",
        "from voxcli.api import hookimpl\n@hookimpl\ndef vox_run_end(run, error, quiet=False): pass",
    ],
)
def test_what_is_meant_so_is_left_alone(loaded, source):
    manager = loaded(source)
    assert list(manager.misfits()) == []
    assert [plugin.state for plugin in manager.plugins] == ["ok"]


def test_an_argument_that_the_hook_does_not_have(loaded):
    manager = loaded("from voxcli.api import hookimpl\n@hookimpl\ndef vox_run_end(run, failed, why): pass")
    (misfit,) = manager.misfits()
    assert misfit.broken
    assert misfit.message == "plugin one: 'vox_run_end' takes 'failed' and 'why', which the hook does not have"
    assert misfit.help == "vox_run_end(run, error): any of these, by these names"
    assert manager.plugins[0].state == "broken"


def test_doctor_and_list_say_the_same(vox_project, install, tones):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    install("vox-sines", "2.0", {"vox_sines": tones("vox_sines") + "\n    def vox_run_end(run): pass\n"})
    project = vox_project()
    listed = json.loads(project.run("plugins", "list", "--json").assert_ok().out)["problems"]
    report = json.loads(project.run("doctor", "--only", "P003,P005", "--json").assert_ok().out)
    said = {one["code"]: (one["message"], one["help"]) for one in report["findings"]}
    assert listed == [": ".join(said["P003"]), said["P005"][0]]


def test_the_line_and_the_milliseconds_of_a_heavy_import(vox_project, install, tones):
    site = install("vox-tones", "1.2", {"vox_tones": "    import vox_tones_signal" + tones("vox_tones")})
    (site / "vox_tones_signal.py").write_text("import json\nimport numpy.fft\n")
    report = json.loads(vox_project().run("doctor", "--only", "P002", "--json").assert_ok().out)
    (finding,) = report["findings"]
    assert re.fullmatch(r"plugin tones imports numpy \([\d,]+ ms\) before any of it is used", finding["message"])
    assert finding["where"] == "vox_tones:1 -> vox_tones_signal:2 -> numpy"


def test_a_plugin_that_is_switched_off_is_not_looked_at(vox_project, install, monkeypatch):
    install("vox-bad", "0.3", {"vox_bad": "1 / 0"})
    monkeypatch.setenv("VOX_DISABLE_PLUGINS", "bad")
    report = json.loads(vox_project().run("doctor", "--only", "P", "--json").assert_ok().out)
    assert report["findings"] == []
