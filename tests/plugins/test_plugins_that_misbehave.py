"""Plugins that do at import what no plugin should: each is named, and costs nobody but itself."""

from __future__ import annotations

import json
import os
import time

import pytest
from distributions import distribute

SECONDS = "2"
FINE = """
    from voxcli.api import hookimpl
    @hookimpl
    def vox_commands(app):
        @app.command("greet")
        def greet():
            "Greet."
            print("hello")
    """
SOURCES = {
    "vox_fine": FINE,
    "vox_raises": "1 / 0",
    "vox_exits": "import sys\nsys.exit(0)",
    "vox_interrupts": "raise KeyboardInterrupt",
    "vox_ends": "import os\nos._exit(0)",
    "vox_crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "vox_kills": "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(30)",
    "vox_stops": "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)",
    "vox_hangs": "import time\nwhile True: time.sleep(1)",
    "vox_deaf": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nwhile True: pass",
    "vox_closes": "import os\nos.closerange(0, 64)",
    "vox_sleeps": "import time\ntime.sleep(1.2)",
    "vox_prints": "import os\nprint('good morning')\nos.write(1, b'and welcome')",
    "vox_loud": """
        import getpass, os
        from voxcli.api import config, hookimpl
        print("here I am")
        os.write(1, b"and here")
        getpass.getuser = lambda: "me"

        @config
        class Loud:
            'Loud.'
            def utterances(self, split):
                return iter(())

        @hookimpl
        def vox_register(registry):
            registry.add("dataset", "loud", "vox_loud:Loud")
        """,
    "vox_silences": "import sys, io\nsys.stdout = io.StringIO()\nsys.stderr = None",
    "vox_starts": """
        import os, pathlib, subprocess, sys
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        pathlib.Path(os.environ["STARTED"]).write_text(str(started.pid))
        """,
    "vox_waits": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    "vox_patches": """
        import builtins, functools, json, pathlib
        import logging, numpy
        json.dumps = lambda *anything, **more: "patched"
        builtins.len = functools.partial(lambda one: 0)
        pathlib.Path.home = classmethod(lambda cls: None)
        numpy.mean = sum
        def call(self): pass
        logging.Logger.info = call
        """,
    "vox_adds": "import json\njson.load_all = len\nclass Mine(json.JSONEncoder):\n    def default(self, o): pass",
}
STATES = {
    "fine": ("ok", ""),
    "raises": ("broken", "ZeroDivisionError: division by zero"),
    "exits": ("broken", "SystemExit: 0"),
    "interrupts": ("broken", "KeyboardInterrupt"),
    "ends": ("broken", "its import ends the process with exit code 0"),
    "crashes": ("broken", "its import kills the process with SIGSEGV"),
    "kills": ("broken", "its import kills the process that looks at it"),
    "stops": ("ok", ""),
    "hangs": ("broken", f"its import did not end within {SECONDS} s"),
    "deaf": ("broken", f"its import did not end within {SECONDS} s"),
    "closes": ("broken", "its import ends the process with exit code 0"),
    "sleeps": ("ok", ""),
    "prints": ("ok", ""),
    "loud": ("ok", ""),
    "silences": ("ok", ""),
    "starts": ("ok", ""),
    "waits": ("ok", ""),
    "patches": ("ok", ""),
    "adds": ("ok", ""),
}


@pytest.fixture(scope="module")
def first(tmp_path_factory, vox):
    """(folder, how the first `vox --help` ended, `vox plugins list`, what `vox doctor` finds, what is started)."""
    site = tmp_path_factory.mktemp("site")
    for module, source in SOURCES.items():
        distribute(site, module.replace("_", "-"), "0.3", {module: source})
    distribute(site, "vox-dependency", "0.3", {"vox_dependency": "1 / 0"}, INSTALLER="pip\n")
    started = vox.home / "started"
    variables = {"VOX_PLUGIN_SECONDS": SECONDS, "STARTED": str(started)}
    helped = vox(site, "--help", **variables)
    listed = vox(site, "plugins", "list", "--json", **variables)
    found = vox(site, "doctor", "--only", "P", "--json", code=2, **variables)
    return site, helped, json.loads(listed.stdout), json.loads(found.stdout)["findings"], started


@pytest.fixture(autouse=True)
def _seconds(monkeypatch):
    monkeypatch.setenv("VOX_PLUGIN_SECONDS", SECONDS)


@pytest.mark.parametrize("name", STATES)
def test_what_became_of_it(first, name):
    by_name = {one["name"]: one for one in first[2]["plugins"]}
    assert (by_name[name]["state"], by_name[name]["reason"]) == STATES[name]
    assert (by_name[name]["distribution"], by_name[name]["version"]) == (f"vox-{name}", "0.3")


def test_the_first_command_does_not_wait_for_those_that_hang(first):
    said = first[1].stderr
    assert "still being looked at, so this command goes on without" in said
    assert "Commands:" in first[1].stdout


def test_the_next_command_says_and_waits_for_nothing(first, vox):
    done = vox(first[0], "--help")
    assert done.stderr == ""
    assert "greet" in done.stdout
    assert vox(first[0], "greet").stdout == "hello\n"
    assert vox(first[0], "greet").stderr == ""


def test_a_component_that_nobody_has_names_those_that_cannot_be_asked(first, vox):
    (vox.home / "r.toml").write_text('[model]\ntype = "ctc"\n[[data]]\ntype = "klingon"\n')
    said = vox(first[0], "recipe", "check", "r.toml", code=2).stderr
    assert "no dataset is called 'klingon'" in said
    assert "plugin hangs 0.3 is broken" in said


def test_a_component_that_is_used_prints_nowhere_but_on_stderr(first, vox):
    lines = '[model]\ntype = "ctc"\ncheckpoint = "a/b"\n[train]\nmax_steps = 9\nbatch_duration = 9\n'
    (vox.home / "loud.toml").write_text(lines + '[[data]]\ntype = "loud"\n')
    done = vox(first[0], "recipe", "check", "loud.toml")
    assert done.stdout == "loud.toml: no problems (model ctc, task ctc)\n"
    assert "here I am" in done.stderr
    assert "and here" in done.stderr
    assert "warning: plugin loud (vox-loud 0.3) replaces getpass.getuser, for the whole of this command" in done.stderr


def of(findings, code, name):
    return [one["message"] for one in findings if one["code"] == code and f"vox-{name} " in one["message"]]


@pytest.mark.parametrize("name", [name for name, (state, _) in STATES.items() if state == "broken"])
def test_the_doctor_names_it(first, name):
    assert of(first[3], "P001", name) == [f"plugin {name} (vox-{name} 0.3) is broken: {STATES[name][1]}"]


def test_what_is_replaced_is_named_and_what_is_added_is_not(first):
    (message,) = of(first[3], "P007", "patches")
    replaced = message.partition("replaces ")[2].partition(" when")[0].split(", ")
    assert replaced == ["builtins.len", "json.dumps", "logging.Logger.info", "numpy.mean", "pathlib.Path.home"]
    assert of(first[3], "P007", "loud") == ["plugin loud (vox-loud 0.3) replaces getpass.getuser when it is imported"]
    assert len([one for one in first[3] if one["code"] == "P007"]) == 2


def test_what_it_prints_is_named(first):
    assert of(first[3], "P009", "prints") == [
        "plugin prints (vox-prints 0.3) prints when it is imported: 'good morning and welcome'"
    ]
    assert len([one for one in first[3] if one["code"] == "P009"]) == 2


def test_what_nobody_asked_for_is_named(first):
    (message,) = [one["message"] for one in first[3] if one["code"] == "P008"]
    assert message.startswith("plugin dependency (vox-dependency 0.3) is held: it came as a dependency")


def test_its_seconds_are_named(first):
    (message,) = [one["message"] for one in first[3] if one["code"] == "P002" and "sleeps" in one["message"]]
    assert message.startswith("plugin sleeps takes 1,2")


def test_what_it_started_is_ended(first):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(int(first[4].read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the process that vox-starts started is still there")
