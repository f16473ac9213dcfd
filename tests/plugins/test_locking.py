"""What a lock lets run, and what it says of the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from wheels import unpack, wheel

from voxcli.errors import PluginError
from voxcli.plugins import locking
from voxcli.plugins.contents import hash_of_distribution, is_editable
from voxcli.plugins.manager import Plugin

FILES = {"vox_tones/__init__.py": "x = 1\n", "vox_tones/data.txt": "a\n"}


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "vox_tones", raising=False)  # of another test, from a folder that has gone
    return folder


@pytest.fixture(autouse=True)
def _forget():
    yield
    locking.forget()


def tones(site, version="1.0", files=None, **settings):
    made = wheel(site.parent / "wheels", "vox-tones", version, files or FILES, **settings)
    return unpack(made, site)


def plugin(version="1.0"):
    return Plugin("tones", "vox-tones", version, target="vox_tones")


def hashed():
    return hash_of_distribution(distribution("vox-tones"))


def refusal(lock, one):
    with pytest.raises(PluginError) as caught:
        lock.require(one)
    return caught.value


def test_the_hash_is_that_of_the_code(site):
    info = tones(site)
    before = hashed()
    (info / "INSTALLER").write_text("uv\n")
    (info / "direct_url.json").write_text('{"url": "file:///wheels/x.whl"}')
    (info / "RECORD").write_text((info / "RECORD").read_text() + "vox_tones/__pycache__/__init__.cpython-311.pyc,,\n")
    (info / "RECORD").write_text((info / "RECORD").read_text() + "../../../bin/tones,,\n")
    (site / "vox_tones/__pycache__").mkdir()
    (site / "vox_tones/__pycache__/__init__.cpython-311.pyc").write_bytes(b"compiled")
    assert hashed() == before
    assert before.startswith("sha256:")
    assert len(before) == 71


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("vox_tones/__init__.py", "x = 2\n"),
        ("vox_tones/data.txt", "b\n"),
        ("vox_tones-1.0.dist-info/entry_points.txt", "[voxcli]\ntones = vox_tones.other\n"),
    ],
)
def test_a_change_of_a_file_changes_it(site, path, content):
    tones(site)
    before = hashed()
    (site / path).write_text(content)
    assert hashed() != before


def test_a_file_that_is_gone_or_has_another_name_changes_it(site):
    info = tones(site)
    found = {hashed()}
    (site / "vox_tones/data.txt").rename(site / "vox_tones/date.txt")
    found.add(hashed())
    (info / "RECORD").write_text((info / "RECORD").read_text().replace("data.txt", "date.txt"))
    found.add(hashed())
    assert len(found) == 3


def test_an_editable_install_has_the_hash_of_its_wheel(site, tmp_path, monkeypatch):
    """Locked while it is written, it still holds when the same code comes as a wheel."""
    tones(site)
    of_wheel = hashed()
    source = tmp_path / "source"
    for path, text in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
        (site / path).unlink()
    (site / "vox_tones").rmdir()
    info = site / "vox_tones-1.0.dist-info"
    (info / "direct_url.json").write_text(json.dumps({"url": f"file://{source}", "dir_info": {"editable": True}}))
    (info / "RECORD").write_text("_vox_tones.pth,,\n")
    (site / "_vox_tones.pth").write_text(str(source))
    monkeypatch.syspath_prepend(str(source))
    assert is_editable(distribution("vox-tones"))
    assert hashed() == of_wheel
    (source / "vox_tones/__init__.py").write_text("x = 3\n")
    assert hashed() != of_wheel
    assert "vox_tones" not in sys.modules, "the module was found, not imported"


def test_what_was_locked_may_run(site):
    tones(site)
    lock = locking.lock_of([plugin(), Plugin("voxcli", "voxcli", "1")], Path("vox-plugins.lock"))
    assert [one.name for one in lock.plugins] == ["vox-tones"]
    lock.require(plugin())
    lock.require(Plugin("voxcli", "voxcli", "another"))  # no third party
    lock.require(Plugin("tones", "Vox_Tones", "1.0", target="vox_tones"))  # the same name, written otherwise


def test_a_module_that_python_finds_elsewhere_is_refused(site, tmp_path, monkeypatch):
    """The hash of the files says nothing of another file that the import path has first, or of a folder beside them."""
    tones(site)
    plugin = Plugin("tones", "vox-tones", "1.0", target="vox_tones")
    lock = locking.lock_of([plugin], Path("a.lock"))
    assert lock.allows(plugin)
    assert lock.elsewhere(plugin, "vox_tones.audio:Tones") is None
    first = tmp_path / "first"
    first.mkdir()
    (first / "vox_tones.py").write_text("")
    (first / "tones_impl.py").write_text("")
    monkeypatch.syspath_prepend(str(first))
    found = lock.difference(plugin)
    assert found is not None
    assert f"would import {first}/vox_tones.py" in found.message
    assert lock.elsewhere(plugin, "tones_impl:Tones") is not None


def test_what_is_not_in_the_lock_is_refused(site):
    tones(site)
    error = refusal(locking.Lock((), Path("vox-plugins.lock")), plugin())
    assert (
        error.message == f"plugin vox-tones 1.0 ({hashed()}) is not in vox-plugins.lock, and --locked runs nothing else"
    )
    assert error.help == "`VOX_DISABLE_PLUGINS=vox-tones` leaves it out; `vox plugins lock` takes it in"


def test_another_version_is_refused_with_both(site):
    tones(site, "2.0")
    lock = locking.Lock([locking.Locked("vox-tones", "1.0", "sha256:aa")], Path("vox-plugins.lock"))
    error = refusal(lock, plugin("2.0"))
    assert error.message == "plugin vox-tones 2.0 is installed, vox-plugins.lock has 1.0"
    assert error.help == "`vox plugins install vox-tones==1.0`; `vox plugins lock` takes the new one"


def test_other_files_under_the_same_version_are_refused_with_both(site):
    tones(site)
    before = hashed()
    lock = locking.lock_of([plugin()], Path("runs/x/lock.json"))
    (site / "vox_tones/__init__.py").write_text("x = 2\n")
    error = refusal(lock, plugin())
    assert before in error.message
    assert hashed() in error.message
    assert error.help is not None
    assert "`vox plugins install vox-tones==1.0 --reinstall`" in error.help
    assert "--locked=vox-plugins.lock names the project's lock instead" in error.help


def test_a_plugin_file_is_held_to_its_content(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("x = 1\n")
    one = Plugin("mine", str(file), "0123", file=file)
    lock = locking.lock_of([one], tmp_path / "vox-plugins.lock")
    lock.require(one)
    elsewhere = tmp_path / "elsewhere" / "mine.py"
    elsewhere.parent.mkdir()
    elsewhere.write_text("x = 1\n")
    lock.require(Plugin("mine", str(elsewhere), "0123", file=elsewhere))
    elsewhere.write_text("x = 2\n")
    error = refusal(lock, Plugin("mine", str(elsewhere), "4567", file=elsewhere))
    assert "plugin mine.py is not what was locked: its files have sha256:" in error.message
    other = tmp_path / "other.py"
    other.write_text("")
    assert "plugin other.py (sha256:" in refusal(lock, Plugin("other", str(other), "", file=other)).message


def test_a_lock_is_written_and_read_as_it_is(site, tmp_path):
    tones(site)
    file = tmp_path / "Mine.py"
    file.write_text("")
    lock = locking.lock_of([Plugin("Mine", str(file), "", file=file), plugin()], tmp_path / "vox-plugins.lock")
    text = locking.text(lock)
    assert text.splitlines() == [
        "# The plugins of this project. Written by `vox plugins lock`; `--locked` refuses any other.",
        "version = 1",
        "",
        "[[plugin]]",
        'name = "vox-tones"',
        'version = "1.0"',
        f'hash = "{hashed()}"',
        "",
        "[[plugin]]",
        'file = "Mine.py"',
        'hash = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    ]
    (tmp_path / "vox-plugins.lock").write_text(text)
    again = locking.read(tmp_path / "vox-plugins.lock")
    assert again.plugins == lock.plugins
    assert locking.text(again) == text


def test_the_lock_of_a_run_is_read_old_and_new(site, tmp_path):
    tones(site)
    run = tmp_path / "run"
    run.mkdir()
    old = {"voxcli": "0.1.0", "plugins": {"voxcli": "0.1.0", "vox-tones": "1.0", "/home/x/mine.py": "e3b0c44298fc"}}
    (run / "lock.json").write_text(json.dumps(old))
    lock = locking.read(run)
    lock.require(plugin())
    assert "vox-tones 2.0 is installed" in refusal(lock, plugin("2.0")).message
    file = tmp_path / "mine.py"
    file.write_text("")
    lock.require(Plugin("mine", str(file), "e3b0c44298fc", file=file))
    file.write_text("x = 1")
    assert not lock.allows(Plugin("mine", str(file), "", file=file))

    now = locking.entries(locking.lock_of([plugin()], run / "lock.json"))
    assert now == {"vox-tones": {"version": "1.0", "hash": hashed()}}
    (run / "lock.json").write_text(json.dumps({"plugins": now}))
    locking.read(run / "lock.json").require(plugin())


def test_a_run_in_stages_holds_the_locks_of_its_stages(site, tmp_path):
    tones(site)
    for stage, plugins in (("1-head", {"vox-tones": {"version": "1.0", "hash": hashed()}}), ("2-all", {})):
        (tmp_path / "run/stages" / stage).mkdir(parents=True)
        (tmp_path / "run/stages" / stage / "lock.json").write_text(json.dumps({"plugins": plugins}))
    assert locking.holds_lock(tmp_path / "run")
    locking.read(tmp_path / "run").require(plugin())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("vox-plugins.lock", "version = 2\n", "its version is 2, this voxcli reads 1"),
        ("vox-plugins.lock", 'version = 1\n[[plugin]]\nname = "x"\nversion = "1"\n', "KeyError: 'hash'"),
        ("vox-plugins.lock", "version = \n", "is no lock of plugins"),
        ("lock.json", "[]", "is no lock of plugins"),
        ("lock.json", '{"plugins": ["x"]}', "is no lock of plugins"),
    ],
)
def test_what_is_no_lock_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(PluginError) as caught:
        locking.read(tmp_path / name)
    assert said in caught.value.message
    assert str(tmp_path / name) in caught.value.message


def test_a_lock_in_force_holds_in_the_processes_that_are_started(tmp_path):
    lock = tmp_path / "vox-plugins.lock"
    lock.write_text(locking.text(locking.Lock([locking.Locked("vox-a", "1", "sha256:aa")], lock)))
    locking.use(lock)
    script = "from voxcli.plugins import locking; print(locking.current().source, *locking.current().plugins)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"{lock} Locked(name='vox-a'")
    locking.forget()
    assert locking.current() is None


def test_locked_distributions_that_are_not_there_are_missing(tmp_path):
    lock = locking.Lock([locking.Locked("vox-a", "1", "x"), locking.Locked("vox-b", "2", "x")], tmp_path / "l")
    (one,) = lock.missing([Plugin("a", "vox-A", "1")])
    assert (one.name, one.help) == ("vox-b", "`vox plugins install vox-b==2`")
