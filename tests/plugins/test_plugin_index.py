"""What is known of plugins is kept, and looked up again when something changed; its file is never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from voxcli.plugins import choices, discovery
from voxcli.plugins.looks import index, pending
from voxcli.plugins.manager import Manager


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VOX_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(index, "_scans", {})


@pytest.fixture
def starts(monkeypatch):
    """Counts the processes that look at plugins."""
    began = []
    popen = subprocess.Popen

    def counted(command, **settings):
        if any("looks import process" in str(one) for one in command):
            began.append(command)
        return popen(command, **settings)

    monkeypatch.setattr(pending.subprocess, "Popen", counted)
    return began


def states(wait=True):
    """The installed plugins as the next command sees them."""
    manager = Manager()
    if wait:
        manager.wait()
    return {one.name: (one.state, one.reason) for one in manager.plugins}


def names(kind="dataset"):
    return Manager().registry.names(kind)


def test_one_look_is_enough(install, tones, starts):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    assert names() == ["tones"]
    assert names() == ["tones"]
    assert len(starts) == 1


def test_nothing_installed_starts_nothing(starts):
    assert states() == {}
    assert starts == []


def test_a_module_that_was_edited_is_looked_at_again(install, tones, starts):
    site = install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    assert names() == ["tones"]
    (site / "vox_tones.py").write_text((site / "vox_tones.py").read_text().replace('"tones"', '"chords"'))
    assert names() == ["chords"]
    assert len(starts) == 2


def test_another_version_is_looked_at_again(install, tones):
    site = install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    assert names() == ["tones"]
    (site / "vox_tones.py").write_text((site / "vox_tones.py").read_text().replace('"tones"', '"chords"'))
    info = site / "vox_tones-1.2.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vox-tones\nVersion: 2.0\n")
    info.rename(site / "vox_tones-2.0.dist-info")
    manager = Manager()
    manager.wait()
    assert [(one.name, one.version) for one in manager.registry] == [("chords", "2.0")]


def test_what_is_uninstalled_is_gone(install, tones, tmp_path):
    site = install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    install("vox-other", "1.0", {"vox_other": "x = 1"})
    assert set(states()) == {"tones", "other"}
    info = site / "vox_tones-1.2.dist-info"
    for path in info.iterdir():
        path.unlink()
    info.rmdir()
    (site / "vox_other.py").write_text("x = 12")
    assert set(states()) == {"other"}
    kept = json.loads((tmp_path / "cache" / "plugins.json").read_text())["looks"]
    assert [key for key in kept if "vox_tones" in key] == []


def test_a_failure_is_forgotten_when_something_is_installed(install, tones, starts):
    site = install("vox-tones", "1.2", {"vox_tones": "    import vox_missing" + tones("vox_tones")})
    assert states()["tones"] == ("broken", "ModuleNotFoundError: No module named 'vox_missing'")
    assert states()["tones"][0] == "broken"
    assert len(starts) == 1
    (site / "vox_missing.py").write_text("")
    assert states()["tones"] == ("ok", "")


OPTIONAL = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "tones", "vox_tones:Tones")
        try:
            import vox_missing
        except ImportError:
            return
        registry.add("dataset", "more", "vox_tones:Tones")
    """


def test_a_plugin_that_registers_what_it_finds_libraries_for(install, starts):
    site = install("vox-tones", "1.2", {"vox_tones": OPTIONAL})
    assert names() == ["tones"]
    assert len(starts) == 1
    (site / "vox_missing.py").write_text("")
    assert names() == ["tones"]  # it is looked at again meanwhile
    assert len(starts) == 2
    manager = Manager()
    assert manager.registry.find("dataset", "more").distribution == "vox-tones"  # which needs the answer
    assert manager.registry.names("dataset") == ["more", "tones"]
    assert names() == ["more", "tones"]
    assert len(starts) == 2


@pytest.mark.parametrize("content", ["{", '{"format": 2, "looks": 3, "scans": {"x": 1}}', "nested"])
def test_a_damaged_index_is_made_anew(install, tones, tmp_path, content):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    assert names() == ["tones"]
    path = tmp_path / "cache" / "plugins.json"
    if content == "nested":
        whole = json.loads(path.read_text())
        whole["looks"] = {key: {"found": 1, "files": [], "failed": 0} for key in whole["looks"]}
        whole["scans"] = {
            key: {"settled": True, "changed": one["changed"], "plugins": [[1]]} for key, one in whole["scans"].items()
        }
        content = json.dumps(whole)
    path.write_text(content)
    index._scans.clear()
    assert names() == ["tones"]
    assert json.loads(path.read_text())["looks"]


def test_an_index_that_cannot_be_written_is_said_and_costs_nothing_else(install, tones, tmp_path, caplog):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    (tmp_path / "cache").write_text("a file stands in its place")
    assert names() == ["tones"]
    assert "plugins.json cannot be written" in caplog.text
    assert "VOX_CACHE names another folder" in caplog.text


def test_what_another_command_looks_at_is_waited_for(install, tones, starts, caplog, monkeypatch):
    install("vox-tones", "1.2", {"vox_tones": "    import time\n    time.sleep(1.2)" + tones("vox_tones")})
    monkeypatch.setattr(discovery, "PATIENCE", 0.1)
    assert [one.state for one in Manager().plugins] == ["slow"]
    assert "plugin tones (vox-tones 1.2): still being looked at" in caplog.text
    assert names() == []  # another command, which does not need it
    assert Manager().registry.find("dataset", "tones").target == "vox_tones:Tones"  # one that does
    assert len(starts) == 1


def test_a_process_that_died_is_not_waited_for(install, tones, starts):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    found = index.Index()
    installed = discovery.installed.found(found.scans)
    found.begin(installed, gone.pid, 60)
    begin = time.monotonic()
    assert names() == ["tones"]
    assert time.monotonic() - begin < 30
    assert len(starts) == 1


def test_many_at_once(install, tones, vox, tmp_path):
    site = install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    said = []

    def one():
        said.append(vox(site, "plugins", "list", "--json", VOX_CACHE=str(tmp_path / "cache")).stdout)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 3
    for text in said:
        assert ("tones", "ok") in {(one["name"], one["state"]) for one in json.loads(text)["plugins"]}
    assert json.loads((tmp_path / "cache" / "plugins.json").read_text())["format"] == index.FORMAT
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_an_account_without_a_home_has_plugins(install, tones, monkeypatch, caplog):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    for name in ("VOX_CACHE", "VOX_CONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    assert names() == ["tones"]
    assert "cannot be written" in caplog.text


def test_choices_are_kept_under_any_spelling(install, tones):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    choices.disable("Vox_Tones")
    assert choices.disabled() == {"vox-tones"}
    assert states()["tones"] == ("disabled", discovery.DISABLED)
    assert names() == []
    choices.enable("vox.tones")
    assert (choices.disabled(), choices.enabled()) == (frozenset(), {"vox-tones"})
    assert states()["tones"] == ("ok", "")


@pytest.mark.parametrize("content", ["", "[]", '{"disabled": 3}', '{"disabled": [1, "vox-tones"]}'])
def test_damaged_choices_are_no_error(install, tones, tmp_path, content, caplog):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    choices.path().parent.mkdir()
    choices.path().write_text(content)
    expected = "disabled" if '"vox-tones"' in content else "ok"
    assert states()["tones"][0] == expected
    assert states()["tones"][0] == expected
    assert len([one for one in caplog.records if "cannot be read" in one.getMessage()]) == (content in ("", "[]"))
    choices.disable("vox-tones:tones")
    assert states()["tones"][0] == "disabled"


def test_choices_that_cannot_be_written_are_an_error_with_a_repair(tmp_path):
    (tmp_path / "config").write_text("a file stands in its place")
    with pytest.raises(Exception, match="cannot be written") as caught:
        choices.disable("vox-tones:tones")
    assert "VOX_CONFIG" in str(caught.value.help)


def test_the_variable_wins(install, tones, monkeypatch):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    choices.enable("vox-tones:tones")
    monkeypatch.setenv("VOX_DISABLE_PLUGINS", "Tones")
    assert states()["tones"] == ("disabled", "VOX_DISABLE_PLUGINS")


def test_what_was_chosen_for_one_holds_for_no_other_of_its_name(install, tones):
    """Anybody may call an entry point `tones`."""
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    choices.enable(choices.key("vox-tones", "tones"))
    install("innocent-lib", "1.0", {"vox_other": "1 / 0"}, INSTALLER="pip\n")
    (found,) = [one for one in Manager().plugins if one.distribution == "innocent-lib"]
    assert found.state == "held"
    choices.disable(choices.key("innocent-lib", found.name))
    assert states()["tones"] == ("ok", "")


def test_what_an_uninstall_left_behind_breaks_nothing(install, tones, caplog):
    site = install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    (site / "vox_gone-1.0.dist-info").mkdir()
    (site / "vox_gone-1.0.dist-info" / "entry_points.txt").write_text("[voxcli]\ngone = vox_gone\n")
    assert names() == ["tones"]
    assert "vox_gone-1.0.dist-info cannot be read and is left out" in caplog.text


def test_what_failed_is_looked_at_again_on_demand(install, tones, monkeypatch, vox_project):
    """What it lacked may be there now, and more time may be what it needs."""
    monkeypatch.delenv("VOX_TEST_TOKEN", raising=False)
    install("vox-tones", "1.2", {"vox_tones": "import os; os.environ['VOX_TEST_TOKEN']\n"})
    assert states()["tones"][0] == "broken"
    monkeypatch.setenv("VOX_TEST_TOKEN", "1")
    assert states()["tones"][0] == "broken"
    vox_project().run("plugins", "info", "vox-tones").assert_ok()
    assert states()["tones"][0] == "ok"


def test_more_time_is_another_look(install, monkeypatch):
    install("vox-slow", "1.0", {"vox_slow": "import time; time.sleep(1)\n"})
    monkeypatch.setenv("VOX_PLUGIN_SECONDS", "0.2")
    assert states()["slow"] == ("broken", "its import did not end within 0.2 s")
    monkeypatch.setenv("VOX_PLUGIN_SECONDS", "20")
    assert states()["slow"][0] == "ok"


def test_the_time_a_plugin_has_can_be_set(monkeypatch):
    for given, expected in (("5", 5.0), ("soon", index.SECONDS), ("-3", 0.1)):
        monkeypatch.setenv("VOX_PLUGIN_SECONDS", given)
        assert index.limit() == expected
    assert os.environ["VOX_PLUGIN_SECONDS"]
