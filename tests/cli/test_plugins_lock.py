"""`vox plugins lock`, and what `--locked` lets run."""

from __future__ import annotations

import json
import re
import sys

import pytest
from wheels import unpack, wheel

from voxcli.plugins import locking
from voxcli.plugins.manager import forget

pytestmark = pytest.mark.usefixtures("fakes")

TONES = """
    import os
    from voxcli.api import config, hookimpl

    with open(os.environ["VOX_TEST_RAN"], "a") as file:
        file.write("{version} ")

    @config
    class Tones:
        pitch: float = 440.0

        def utterances(self, split):
            return iter(())

    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "tones", "vox_tones:Tones")
    """
LISTENER = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_end(run, error):
        pass
    """
RECIPE = """
    [[data]]
    type = "tones"

    [model]
    type = "tiny"
    checkpoint = "someone/tiny"

    [train]
    max_steps = 10
    batch_duration = 60.0
    """


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("VOX_TEST_RAN", str(tmp_path / "ran"))
    for module in ("vox_tones", "vox_ear"):  # of another test, from a folder that has gone
        monkeypatch.delitem(sys.modules, module, raising=False)
    return folder


@pytest.fixture
def project(vox_project, good):
    return vox_project({"r.toml": RECIPE, "other.toml": good, "recordings/.keep": "", "pyproject.toml": "[project]\n"})


def install(site, version="1.0", name="vox-tones", source=TONES):
    for old in site.glob(f"{name.replace('-', '_')}*"):
        if old.is_dir():
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        else:
            old.unlink()
    module = name.replace("-", "_")
    unpack(wheel(site.parent / "wheels", name, version, {f"{module}.py": source.replace("{version}", version)}), site)


def hash_in(project, file="vox-plugins.lock"):
    return re.search(r'hash = "(sha256:[0-9a-f]{64})"', (project.path / file).read_text())[1]


def test_a_lock_is_written_holds_and_says_what_differs(project, site):
    install(site)
    done = project.run("plugins", "lock").assert_ok()
    assert re.search(r"vox-tones +1.0 +sha256:[0-9a-f]{12}", done.out)
    assert done.err == "wrote vox-plugins.lock: 1 plugin\n"
    text = (project.path / "vox-plugins.lock").read_text()
    project.run("plugins", "lock").assert_ok()
    assert (project.path / "vox-plugins.lock").read_text() == text
    assert project.run("plugins", "lock", "--check").assert_ok().out == "vox-plugins.lock holds: 1 plugin\n"

    install(site, "1.1")
    done = project.run("plugins", "lock", "--check").assert_code(1)
    assert done.out.startswith("plugin vox-tones 1.1 is installed, vox-plugins.lock has 1.0\n  = help: ")
    found = json.loads(project.run("plugins", "lock", "--check", "--json").assert_code(1).out)
    assert (found["holds"], [one["plugin"] for one in found["differences"]]) == (False, ["vox-tones"])


def test_what_is_locked(project, site):
    """Plugins of the recipes' components and those that listen to runs; every plugin with --all."""
    install(site)
    install(site, name="vox-quiet", source="from voxcli.api import hookimpl\n")
    install(site, name="vox-ear", source=LISTENER)

    def names(*arguments):
        found = json.loads(project.run("plugins", "lock", "--json", *arguments).assert_ok().out)
        return list(found["plugins"])

    assert names() == ["vox-ear", "vox-tones"]
    assert names("other.toml") == ["vox-ear"]
    assert names("other.toml", "r.toml", "--out", "mine.lock") == ["vox-ear", "vox-tones"]
    assert (project.path / "mine.lock").is_file()
    assert names("--all") == ["vox-ear", "vox-quiet", "vox-tones"]


def test_nothing_refused_runs_in_the_background_or_for_the_doctor(project, site, tmp_path):
    """A look is renewed when something else was installed, and the doctor imports components: not under a lock."""
    install(site)
    project.run("plugins", "list").assert_ok()
    (project.path / "vox-plugins.lock").write_text("version = 1\n")
    (tmp_path / "ran").unlink()
    install(site, name="vox-quiet", source="from voxcli.api import hookimpl\n")
    listed = project.run("--locked", "plugins", "list").assert_ok()
    assert "vox plugins enable" not in listed.out
    project.run("doctor", "--locked", "--only", "P001")
    assert not (tmp_path / "ran").exists()


def test_a_locked_listener_that_changed_is_refused_before_the_first_step(project, site):
    """Nobody may look whether it still listens; and one that hears the end only is no surprise at the end."""
    from voxcli.errors import PluginError
    from voxcli.plugins.manager import manager

    install(site, name="vox-ear", source=LISTENER)
    project.run("plugins", "lock", "other.toml").assert_ok()
    (project.path / "empty.lock").write_text("version = 1\n")
    for lock in ("empty.lock", "vox-plugins.lock"):
        forget()
        locking.use(project.path / lock)
        with pytest.raises(PluginError, match=r"vox-ear 1\.0 .*is not"):
            manager().call("vox_run_start", run=None)
        locking.forget()
        (site / "vox_ear.py").write_text((site / "vox_ear.py").read_text() + "x = 1\n")


def test_a_lock_that_cannot_be_written(project, site):
    install(site)
    for out in ("nodir/x.lock", "."):
        said = project.run("plugins", "lock", "--out", out).assert_code(2).err
        assert f"{out} cannot be written" in said
    project.write({"a/clip.py": "", "b/clip.py": "x = 1"})
    both = ("--plugin", "a/clip.py", "--plugin", "b/clip.py")
    assert "two plugin files are called clip.py" in project.run(*both, "plugins", "lock", "--all").assert_code(2).err


def test_recipes_that_cannot_be_locked_are_named(project, site):
    assert "r.toml: no dataset is called 'tones'" in project.run("plugins", "lock").assert_code(2).err
    project.write({"bad.toml": "[data\n"})
    assert "bad.toml is not TOML" in project.run("plugins", "lock", "bad.toml").assert_code(2).err
    assert "there is no recipe gone.toml" in project.run("plugins", "lock", "gone.toml").assert_code(2).err
    for file in project.path.glob("*.toml"):
        file.unlink()
    assert "there is no recipe in" in project.run("plugins", "lock").assert_code(2).err
    project.run("plugins", "lock", "--all").assert_ok()


def test_locked_runs_what_is_locked_and_nothing_else_runs(project, site, tmp_path):
    """A plugin that differs is refused before any of its code runs, in any process."""
    install(site)
    project.run("plugins", "lock").assert_ok()
    locked = hash_in(project)
    project.run("recipe", "check", "r.toml", "--locked").assert_ok()
    project.run("--locked", "recipe", "check", "r.toml").assert_ok()
    assert set((tmp_path / "ran").read_text().split()) == {"1.0"}

    install(site, "2.0")
    (tmp_path / "ran").unlink()
    err = project.run("recipe", "check", "r.toml", "--locked").assert_code(2).err
    assert "plugin vox-tones 2.0 is installed, " in err
    assert "vox-plugins.lock has 1.0" in err
    assert "`vox plugins install vox-tones==1.0`" in err
    assert not (tmp_path / "ran").exists(), "it was not even looked at"
    project.run("recipe", "check", "other.toml", "--locked").assert_ok()  # which does not need it

    install(site, source=TONES.replace("440", "441"))
    err = project.run("recipe", "check", "r.toml", "--locked").assert_code(2).err
    assert "plugin vox-tones 1.0 is not what was locked" in err
    assert locked in err
    assert len(set(re.findall(r"sha256:[0-9a-f]{64}", err))) == 2
    assert not (tmp_path / "ran").exists()

    (project.path / "vox-plugins.lock").write_text("version = 1\n")
    err = project.run("recipe", "check", "r.toml", "--locked").assert_code(2).err
    assert "is not in " in err
    assert not (tmp_path / "ran").exists()


def test_a_locked_plugin_that_is_gone_is_named_with_its_version(project, site):
    install(site)
    project.run("plugins", "lock").assert_ok()
    for file in list(site.glob("vox_tones*.dist-info/*")):
        file.unlink()
    err = project.run("recipe", "check", "r.toml", "--locked").assert_code(2).err
    assert "no dataset is called 'tones'" in err
    assert "plugin vox-tones 1.0 of " in err
    assert "`vox plugins install vox-tones==1.0`" in err
    assert "is not installed" in project.run("plugins", "lock", "other.toml", "--check").assert_code(1).out


def test_a_plugin_file_is_locked_too(project):
    listener = {"mine.py": LISTENER}
    project.write(listener)
    project.run("plugins", "lock", "other.toml", "--plugin", "mine.py").assert_ok()
    assert 'file = "mine.py"' in (project.path / "vox-plugins.lock").read_text()
    done = project.run("recipe", "check", "other.toml", "--locked", "--plugin", "mine.py").assert_ok()
    assert re.search(
        rf"running the plugin file {re.escape(str(project.path))}/mine.py \(sha256 [0-9a-f]{{64}}\)", done.err
    )
    project.write({"mine.py": "raise SystemExit('ran')\n"})
    err = project.run("recipe", "check", "other.toml", "--locked", "--plugin", "mine.py").assert_code(2).err
    assert "plugin mine.py is not what was locked" in err
    assert "ran" not in err.replace("restore", "").replace("ran the", "")


def test_which_lock_is_meant(project, site, tmp_path):
    install(site)
    err = project.run("recipe", "check", "r.toml", "--locked").assert_code(2).err
    assert "there is no vox-plugins.lock in " in err
    assert "there is no gone.lock" in project.run("recipe", "list", "--locked=gone.lock").assert_code(2).err

    # beside the recipe
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project.path / "r.toml").rename(elsewhere / "r.toml")
    project.run("plugins", "lock", elsewhere / "r.toml", "--out", elsewhere / "vox-plugins.lock").assert_ok()
    project.run("recipe", "check", elsewhere / "r.toml", "--locked").assert_ok()

    # the working directory wins
    (project.path / "vox-plugins.lock").write_text("version = 1\n")
    err = project.run("recipe", "check", elsewhere / "r.toml", "--locked").assert_code(2).err
    assert f"is not in {project.path}/vox-plugins.lock" in err
    project.run("recipe", "check", elsewhere / "r.toml", f"--locked={elsewhere}/vox-plugins.lock").assert_ok()

    # that of a run wins over both, for its recipe, and its folder or a part of it
    run = elsewhere / "runs" / "mine"
    (run / "best").mkdir(parents=True)
    (elsewhere / "r.toml").rename(run / "recipe.toml")
    (run / "lock.json").write_text('{"plugins": {"vox-tones": "1.0"}}')
    project.run("recipe", "check", run / "recipe.toml", "--locked").assert_ok()
    (run / "lock.json").write_text('{"plugins": {"vox-tones": "0.9"}}')
    for named in ([run / "recipe.toml"], [run / "recipe.toml", f"name={run}"]):
        err = project.run("recipe", "check", *named, "--locked").assert_code(2).err
        assert f"plugin vox-tones 1.0 is installed, {run} has 0.9" in err
    err = project.run("evaluate", run / "best", "--data", run / "recipe.toml", "--locked").err
    assert "there is no vox-plugins.lock" not in err


def test_a_lock_in_the_environment_holds_too(project, site, monkeypatch):
    install(site)
    (project.path / "empty.lock").write_text("version = 1\n")
    monkeypatch.setenv("VOX_LOCKED", str(project.path / "empty.lock"))
    assert "is not in " in project.run("recipe", "check", "r.toml").assert_code(2).err
    monkeypatch.delenv("VOX_LOCKED")
    project.run("recipe", "check", "r.toml").assert_ok()
