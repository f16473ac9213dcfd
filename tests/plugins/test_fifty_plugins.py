"""Fifty installed plugins: which commands import which of them. How long that takes: benchmarks/startup.py."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from distributions import distribute

COUNT = 50
SOURCE = '''
    import os, sys
    from voxcli.api import config, hookimpl

    with open(os.environ["IMPORTED"], "a") as file:
        print(__name__, file=file)

    @config
    class Tones:
        """Tones of one pitch."""
        pitch: float = 440.0
        """Hz."""

        def utterances(self, split):
            return iter(())

    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "tones-NUMBER", "vox_many_NUMBER:Tones", summary="tones")
        registry.add("dataset", "sample-speech", "vox_many_NUMBER:Tones", summary="a name of vox itself")

    @hookimpl
    def vox_commands(app):
        @app.command("many-NUMBER")
        def many(name: str = "you"):
            "Greet."
            print("hello", name)
    '''
LISTENER = """
    @hookimpl
    def vox_run_log(run, step, metrics):
        print("heard", step)
    """
SCRIPT = """
import json, os, sys
from pathlib import Path
from voxcli.cli.app import main
from voxcli.plugins import installed
from voxcli.plugins.manager import forget, manager

scans, told = [], []
found = installed.found
def counted(known):
    scans.append(1)
    return found(known)
installed.found = counted

def imported():
    return Path(os.environ["IMPORTED"]).read_text().split() if Path(os.environ["IMPORTED"]).exists() else []

for command in json.loads(sys.argv[1]):
    Path(os.environ["IMPORTED"]).unlink(missing_ok=True)
    scans.clear()
    if command == ["a run"]:
        manager().call("vox_run_log", run=None, step=1, metrics={})
        code = 0
    else:
        code = main(command)
    sys.stdout.flush()
    told.append([code, imported(), len(scans), sorted({"torch", "numpy", "pydantic"} & set(sys.modules))])
    for name in [name for name in sys.modules if name.startswith("vox_many_")]:
        del sys.modules[name]
    forget()
print(json.dumps(told), file=sys.stderr)
"""
BUILTIN = """
[model]
type = "ctc"
checkpoint = "someone/else"

[[data]]
type = "sample-speech"

[train]
max_steps = 10
batch_duration = 20.0
"""
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "recipes": ["recipe", "list"],
    "help of a command": ["train", "--help"],
    "plugins": ["plugins", "list"],
    "a run": ["a run"],
    "a command": ["many-7", "--name", "me"],
    "a recipe of voxcli": ["recipe", "check", "own.toml"],
    "a recipe of a plugin": ["recipe", "check", "own.toml", 'data=[{type = "tones-3", pitch = 1.0}]'],
    "a name of voxcli, asked of a plugin": [
        "recipe",
        "check",
        "own.toml",
        'data=[{type = "vox-many-4/sample-speech"}]',
    ],
}


@pytest.fixture(scope="module")
def fifty(tmp_path_factory, vox):
    site = tmp_path_factory.mktemp("site")
    for number in range(COUNT):
        source = (SOURCE + (LISTENER if number in (5, 6) else "")).replace("NUMBER", str(number))
        distribute(site, f"vox-many-{number}", "1.0", {f"vox_many_{number}": source})
    time.sleep(0.15)  # what was changed a moment ago may still be changing
    (vox.home / "own.toml").write_text(BUILTIN)
    return site


@pytest.fixture(scope="module")
def known(fifty, vox):
    """`vox plugins list`, after which all of them have been looked at."""
    return json.loads(vox(fifty, "plugins", "list", "--json", IMPORTED=str(vox.home / "imported")).stdout)


@pytest.fixture(scope="module")
def told(fifty, known, vox):
    """name of a command -> (exit code, plugins it imported, how often it scanned the environment, libraries)."""
    environment = vox.environment(fifty, IMPORTED=str(vox.home / "imported"))
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, json.dumps(list(COMMANDS.values()))],
        capture_output=True,
        text=True,
        env=environment,
        cwd=vox.home,
        timeout=120,
        check=True,
    )
    rows = json.loads(done.stderr.splitlines()[-1])
    return dict(zip(COMMANDS, rows, strict=True)), done


def test_all_of_them_are_known(known):
    ours = [one for one in known["plugins"] if one["name"].startswith("many_")]
    assert [one["state"] for one in ours] == ["ok"] * COUNT
    assert len([one for one in known["components"] if one["name"].startswith("tones-")]) == COUNT


@pytest.mark.parametrize("command", ["version", "recipes", "help of a command", "a recipe of voxcli"])
def test_a_command_that_needs_no_plugin_does_not_even_ask_which_there_are(told, command):
    code, imported, scans, _ = told[0][command]
    assert (code, imported, scans) == (0, [], 0)


@pytest.mark.parametrize("command", ["help", "plugins"])
def test_what_lists_plugins_imports_none(told, command):
    code, imported, scans, libraries = told[0][command]
    assert (code, imported, scans, libraries) == (0, [], 1, [])


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("a command", ["vox_many_7"]),
        ("a recipe of a plugin", ["vox_many_3"]),
        ("a name of voxcli, asked of a plugin", ["vox_many_4"]),
        ("a run", ["vox_many_5", "vox_many_6"]),
    ],
)
def test_what_needs_a_plugin_imports_that_one(told, command, expected):
    assert told[0][command][:2] == [0, expected]


def test_they_do_what_they_are_for(told):
    assert told[1].stdout.count("heard 1") == 2
    assert "hello me" in told[1].stdout
    assert "many-49" in told[1].stdout
