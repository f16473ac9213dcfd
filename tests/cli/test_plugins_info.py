"""`vox plugins info`, `disable` and `enable`."""

from __future__ import annotations

import json

import pytest
from wheels import unpack, wheel

import voxcli

ODD = '''
    import sys
    from voxcli.api import config, hookimpl
    import soxr
    print("hello from odd")
    import textwrap
    textwrap.dedent_of_odd = None
    json_dumps = None
    API_VERSION = 1

    @config
    class Odd:
        """An odd one.

        And more of it."""

        root: str
        """Where it lies."""
        p: float = 0.5
        """Share of the utterances."""
        shape: tuple[int, int] = (1, 2)

        def __call__(self, audio, sampling_rate, rng):
            return audio

        def longest(self, duration):
            return duration

    @hookimpl
    def vox_register(registry):
        registry.add("augmentation", "odd", "vox_odd:Odd", summary="odd things")

    @hookimpl
    def vox_run_end(run):
        pass

    @hookimpl
    def vox_commands(app):
        @app.command("oddity")
        def oddity():
            "Say something odd."
            print("odd")
    '''
ABOUT = """Summary: Odd things for voxcli.
License-Expression: MIT
Project-URL: Changelog, https://example.org/changes
Project-URL: Homepage, https://example.org/odd"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    made = wheel(tmp_path / "wheels", "vox-odd", "0.3", {"vox_odd.py": ODD}, metadata=ABOUT)
    unpack(made, site)
    return site


@pytest.mark.usefixtures("fakes")
def test_a_plugin_is_shown_with_everything(vox_project, odd):
    found = json.loads(vox_project().run("plugins", "info", "vox-odd", "--json").assert_ok().out)
    (plugin,) = found.pop("plugins")
    assert found.pop("hash").startswith("sha256:")
    assert found == {
        "distribution": "vox-odd",
        "version": "0.3",
        "summary": "Odd things for voxcli.",
        "licence": "MIT",
        "homepage": "https://example.org/odd",
        "code": str(odd / "vox_odd.py"),
        "installer": "pip",
        "source": "",
        "editable": False,
        "needs": [],
    }
    assert (plugin["name"], plugin["state"], plugin["module"]) == ("odd", "ok", "vox_odd")
    assert plugin["import_seconds"] > 0
    assert [one["module"] for one in plugin["heavy"]] == ["soxr"]
    assert plugin["printed"] == "hello from odd"
    assert "vox_run_end" in plugin["hooks"]
    assert plugin["commands"] == {"oddity": "Say something odd."}
    (component,) = plugin["components"]
    assert component["about"] == "An odd one."
    assert component["file"].startswith(f"{odd}/vox_odd.py:")
    assert component["keys"] == [
        {"name": "root", "values": "text", "default": None, "required": True, "help": "Where it lies."},
        {"name": "p", "values": "number", "default": "0.5", "required": False, "help": "Share of the utterances."},
        {"name": "shape", "values": "[whole number, whole number]", "default": "[1, 2]", "required": False, "help": ""},
    ]


@pytest.mark.usefixtures("fakes")
def test_the_same_for_people(vox_project, odd):
    shown = vox_project().run("plugins", "info", "odd").assert_ok().out
    for line in (
        "vox-odd 0.3\nOdd things for voxcli.\n",
        "licence    MIT\n",
        f"code       {odd}/vox_odd.py\n",
        "installed  by pip\n",
        "plugin odd is ok\n",
        "of that soxr",
        "prints  hello from odd\n",
        "vox oddity  Say something odd.\n",
        "augmentation odd: odd things\n",
        "  root: text; has to be set\n      Where it lies.\n",
        "  p: number; default 0.5\n",
    ):
        assert line in shown


@pytest.mark.usefixtures("fakes")
def test_it_is_disabled_and_enabled(vox_project, odd, monkeypatch):
    project = vox_project()

    def state():
        found = json.loads(project.run("plugins", "info", "odd", "--json").assert_ok().out)["plugins"][0]
        return found["state"], found["reason"], [one["name"] for one in found["components"]]

    assert state() == ("ok", "", ["odd"])
    said = project.run("plugins", "disable", "vox-odd").assert_ok().out
    assert said == "plugin odd (vox-odd 0.3) is disabled: nothing of it runs. `vox plugins enable odd` takes it back\n"
    assert state() == ("disabled", "you disabled it", ["odd"])
    listed = project.run("plugins", "list").assert_ok().out
    assert "odd things" not in listed
    assert "odd is disabled: you disabled it\n  = help: `vox plugins enable vox-odd`\n" in listed
    assert "there is no command 'oddity' here" in project.run("oddity").assert_code(2).err

    monkeypatch.setenv("VOX_DISABLE_PLUGINS", "odd")
    said = project.run("plugins", "enable", "odd").assert_ok()
    assert (said.out, said.err) == (
        "plugin odd (vox-odd 0.3) is enabled\n",
        "warning: VOX_DISABLE_PLUGINS still leaves it out\n",
    )
    monkeypatch.delenv("VOX_DISABLE_PLUGINS")
    assert state() == ("ok", "", ["odd"])
    assert project.run("oddity").assert_ok().out == "odd\n"


@pytest.mark.usefixtures("fakes")
def test_what_is_held_runs_when_it_is_enabled(vox_project, odd):
    (odd / "vox_odd-0.3.dist-info" / "REQUESTED").unlink()
    project = vox_project()
    shown = project.run("plugins", "info", "odd").assert_ok().out
    assert "plugin odd is held: it came as a dependency" in shown
    assert "hello" not in shown
    assert "prints" not in shown, "nothing of it has run"
    project.run("plugins", "enable", "odd").assert_ok()
    assert "plugin odd is ok" in project.run("plugins", "info", "odd").assert_ok().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["disable", "voxcli"], "voxcli's own components cannot be left out"),
        (["enable", "vox-od"], "no plugin is called 'vox-od'"),
        (["disable", "odd", "ray"], "it is not installed: `vox plugins install vox-ray`"),
        (["info", "augmentation/nois"], "did you mean `noise`?"),
        (["info", "nois"], "did you mean `noise`?"),
        (["info", "telephon"], "did you mean `telephone`?"),
        (["info", "ctc"], "choose one: `model/ctc` or `task/ctc`"),
        (["list", "--kind", "data"], "'data' is no kind of component"),
    ],
)
def test_names_that_nothing_has_are_answered(vox_project, odd, arguments, said):
    project = vox_project()
    assert said in project.run("plugins", *arguments).assert_code(2).err
    assert not (project.path.parent / "config").exists(), "nothing was chosen"


def test_one_built_in_component(vox_project):
    project = vox_project()
    found = json.loads(project.run("plugins", "info", "noise", "--json").assert_ok().out)
    assert (found["kind"], found["name"], found["distribution"]) == ("augmentation", "noise", "voxcli")
    assert {"root", "p", "snr_db"} <= {key["name"] for key in found["keys"]}
    assert all(key["help"] for key in found["keys"])
    same = json.loads(project.run("plugins", "info", "augmentation/voxcli/noise", "--json").assert_ok().out)
    assert same == found
    assert "has to be set" in project.run("plugins", "info", "augmentation/noise").assert_ok().out


def test_voxcli_itself(vox_project):
    shown = vox_project().run("plugins", "info", "voxcli").assert_ok().out
    assert shown.startswith(f"voxcli {voxcli.__version__}\n")
    assert "augmentation  noise" in shown
    assert "checks" in shown


def test_one_kind_is_listed(vox_project):
    project = vox_project()
    shown = project.run("plugins", "list", "--kind", "decoder").assert_ok().out.splitlines()
    assert [line.split()[:2] for line in shown] == [["kind", "name"], ["decoder", "beam"], ["decoder", "greedy"]]
    checks = json.loads(project.run("plugins", "list", "--kind", "check", "--json").assert_ok().out)["components"]
    assert {one["kind"] for one in checks} == {"check"}
    assert "R103" in project.run("plugins", "list", "--kind", "check").assert_ok().out
