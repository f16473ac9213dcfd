from __future__ import annotations

import json
import re

import pytest

import voxcli

pytestmark = pytest.mark.usefixtures("fakes")


def test_list(vox_project, vox_snapshot, monkeypatch):
    monkeypatch.setattr(voxcli, "__version__", "1.2.3")
    shown = vox_project().run("plugins", "list").assert_ok().out
    vox_snapshot(re.sub(r"\d+ ms", "0 ms", shown), "plugins_list.txt")


def test_list_for_a_script(vox_project):
    listed = json.loads(vox_project().run("plugins", "list", "--json").assert_ok().out)
    first = listed["components"][0]
    assert first == {
        "kind": "augmentation",
        "name": "hum",
        "distribution": "voxcli",
        "version": voxcli.__version__,
        "summary": "mains hum",
    }
    own = listed["plugins"][0]
    assert (own["name"], own["state"], own["reason"]) == ("voxcli", "ok", "")
    assert own["import_seconds"] >= 0
    assert listed["problems"] == []


def test_a_plugin_file_is_listed_with_its_hash(vox_project):
    source = """
        from voxcli.api import config, hookimpl

        @config
        class Here:
            def utterances(self, split):
                return iter(())

        @hookimpl
        def vox_register(registry):
            registry.add("dataset", "here", __name__ + ":Here")
        """
    project = vox_project({"my-file.py": source})
    shown = project.run("plugins", "list", "--plugin", "my-file.py").assert_ok().out
    assert re.search(r"dataset +here +my-file.py [0-9a-f]{12}", shown)
    assert re.search(r"my-file +my-file.py [0-9a-f]{12} +ok", shown)


def test_a_component_of_a_plugin_file_resolves(vox_project, good):
    source = """
        from voxcli.api import config, hookimpl

        @config
        class Here:
            n: int = 1

            def utterances(self, split):
                return iter(())

        @hookimpl
        def vox_register(registry):
            registry.add("dataset", "here", __name__ + ":Here")
        """
    project = vox_project({"here.py": source, "r.toml": good})
    arguments = ("recipe", "check", "r.toml", 'data=[{type = "here", n = "x"}]', "--plugin", "here.py")
    assert 'data.0.n is "x", expected a whole number' in project.run(*arguments).assert_code(2).err


def test_checks_are_one_line(vox_project):
    source = """
        from voxcli.api import hookimpl

        @hookimpl
        def vox_register(registry):
            for number in range(1, 4):
                registry.add("check", f"ACME00{number}", __name__ + ":Check")
        """
    project = vox_project({"acme.py": source})
    shown = project.run("plugins", "list", "--plugin", "acme.py").assert_ok().out
    (line,) = [line for line in shown.splitlines() if line.startswith("check ")]
    assert re.fullmatch(r"check +3 checks +acme.py [0-9a-f]{12} +vox doctor --list", line)
    listed = json.loads(project.run("plugins", "list", "--json", "--plugin", "acme.py").assert_ok().out)
    assert [one["name"] for one in listed["components"] if one["kind"] == "check"] == ["ACME001", "ACME002", "ACME003"]
