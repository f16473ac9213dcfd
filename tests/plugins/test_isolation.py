"""One plugin that fails costs nothing but itself."""

from __future__ import annotations

import json
import os

import pytest

pytestmark = pytest.mark.usefixtures("fakes")

BROKEN = {
    "import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "syntax": ("def f(:", "SyntaxError: "),
    "missing": ("import vox_no_such_module", "ModuleNotFoundError: No module named 'vox_no_such_module'"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "register": (
        """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_register(registry):
            registry.add("dataset", "half", "vox_bad:Half")
            raise RuntimeError("no licence")
        """,
        "RuntimeError: no licence",
    ),
    "kind": (
        """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_register(registry):
            registry.add("datset", "half", "vox_bad:Half")
        """,
        "PluginError: vox-bad registers 'half' as a 'datset', which is no kind of component",
    ),
    "twice": (
        """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_register(registry):
            registry.add("dataset", "half", "vox_bad:Half")
            registry.add("dataset", "half", "vox_bad:Half")
        """,
        "PluginError: vox-bad registers dataset 'half' twice",
    ),
    "signature": (
        """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_run_log(run, step, metrics, colour):
            pass
        """,
        "PluginValidationError: ",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_and_every_command_goes_on(vox_project, install, tones, good, case):
    source, reason = BROKEN[case]
    install("vox-bad", "0.3", {"vox_bad": source})
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    project = vox_project({"r.toml": good, "recordings/.keep": ""})

    assert project.run("recipe", "check", "r.toml").assert_ok().err == ""  # nothing of a plugin is asked for
    checked = project.run("recipe", "check", "r.toml", 'data=[{type = "tones"}]').assert_ok()
    assert f"warning: plugin bad (vox-bad 0.3) is broken: {reason}" in checked.err
    assert project.run("recipe", "check", "r.toml", 'data=[{type = "tones"}]').assert_ok().err == ""  # said once

    listed = json.loads(project.run("plugins", "list", "--json").assert_ok().out)
    state = {one["name"]: one for one in listed["plugins"]}
    assert (state["bad"]["state"], state["bad"]["version"], state["bad"]["distribution"]) == (
        "broken",
        "0.3",
        "vox-bad",
    )
    assert state["bad"]["reason"].startswith(reason)
    assert state["tones"]["state"] == "ok"
    names = {one["name"] for one in listed["components"]}
    assert "tones" in names
    assert "half" not in names

    assert f"bad is broken: {reason}" in project.run("plugins", "list").assert_ok().out
    project.run("recipe", "list").assert_ok()
    project.run("--help").assert_ok()


def test_a_component_that_is_missing_names_the_broken_plugin(vox_project, install, good):
    install("vox-bad", "0.3", {"vox_bad": "1 / 0"})
    project = vox_project({"r.toml": good.replace('"words"', '"bad"')})
    err = project.run("recipe", "check", "r.toml").assert_code(2).err
    assert "error[R004]: no dataset is called 'bad'" in err
    assert "plugin bad 0.3 is broken (ZeroDivisionError: division by zero)" in err


def test_a_component_that_cannot_be_imported_names_its_distribution(vox_project, install, tones, good):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones").replace("vox_tones:Tones", "vox_tones:Tone")})
    project = vox_project({"r.toml": good})
    err = project.run("recipe", "check", "r.toml", 'data=[{type = "tones"}]').assert_code(2).err
    assert "error[R009]: dataset 'tones' of vox-tones 1.2 cannot be imported: AttributeError" in err
    project.run("recipe", "check", "r.toml").assert_ok()
    project.run("recipe", "schema").assert_ok()


@pytest.mark.parametrize(
    ("value", "off"),
    [("tones", {"tones"}), ("vox-tones", {"tones"}), ("other, tones", {"tones", "other"}), ("all", {"tones", "other"})],
)
def test_plugins_are_disabled_by_name_or_distribution(vox_project, install, tones, monkeypatch, value, off):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    install("vox-other", "0.1", {"vox_other": "1 / 0"})
    project = vox_project()
    monkeypatch.setenv("VOX_DISABLE_PLUGINS", value)
    result = project.run("plugins", "list", "--json").assert_ok()
    states = {one["name"]: one["state"] for one in json.loads(result.out)["plugins"] if one["name"] != "voxcli"}
    assert {name for name, state in states.items() if state == "disabled"} == off
    assert set(states) == {"tones", "other"}


def test_two_plugins_with_one_name_are_chosen_between(vox_project, install, tones, good):
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    install("vox-sines", "2.0", {"vox_sines": tones("vox_sines")})
    project = vox_project({"r.toml": good})
    choice = 'type = "vox-sines/tones" or "vox-tones/tones"'
    err = project.run("recipe", "check", "r.toml", 'data=[{type = "tones"}]').assert_code(2).err
    assert "error[R009]: 2 plugins offer a dataset called 'tones'" in err
    assert f"= help: choose one: {choice}" in err
    project.run("recipe", "check", "r.toml", 'data=[{type = "vox-tones/tones", pitch = 1.0}]').assert_ok()
    listed = project.run("plugins", "list").assert_ok().out
    assert "vox-sines 2.0 and vox-tones 1.2 both offer the dataset 'tones': choose with" in listed
    schema = json.loads(project.run("recipe", "schema").assert_ok().out)
    assert schema["$defs"]["dataset.vox-tones.tones"]["properties"]["type"]["const"] == "vox-tones/tones"


def test_a_misspelled_hook_is_named(vox_project, install):
    source = """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_run_stat(run):
            pass
        """
    install("vox-typo", "1.0", {"vox_typo": source})
    listed = vox_project().run("plugins", "list").assert_ok().out
    assert "plugin typo implements 'vox_run_stat', which is no hook of voxcli" in listed


def test_a_listener_that_raises_is_named_once_and_the_others_go_on(install, caplog):
    from voxcli.plugins.manager import Manager

    template = """
        from voxcli.api import hookimpl
        seen = []
        @hookimpl
        def vox_run_log(run, step, metrics):
            seen.append(step)
            {action}
        @hookimpl
        def vox_run_end(run):
            seen.append("end")
        """
    install("vox-a", "1.0", {"vox_a": template.format(action="raise ValueError(step)")})
    install("vox-b", "1.0", {"vox_b": template.format(action="pass")})
    manager = Manager()
    manager.wait()
    for step in (1, 2):
        manager.call("vox_run_log", run=None, step=step, metrics={})
    manager.call("vox_run_end", run=None, error=None)
    seen = {one.name: one.module.seen for one in manager.plugins}
    assert seen == {"a": [1], "b": [1, 2, "end"]}
    assert [record.getMessage() for record in caplog.records] == [
        "plugin a (vox-a 1.0) raised in vox_run_log and is switched off: ValueError: 1"
    ]


def test_a_command_hook_that_raises_costs_only_its_commands(vox_project, install):
    raising = """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_commands(app):
            raise ValueError("no")
        """
    fine = """
        from voxcli.api import hookimpl
        @hookimpl
        def vox_commands(app):
            @app.command("hello")
            def hello():
                "Greet."
                print("hello")
        """
    install("vox-a", "1.0", {"vox_a": raising})
    install("vox-b", "1.0", {"vox_b": fine})
    project = vox_project()
    shown = project.run("--help").assert_ok()
    assert "Commands of plugins:\n  hello  Greet.\n" in shown.out
    assert "warning: plugin a (vox-a 1.0): vox_commands fails: ValueError: no" in shown.err
    assert project.run("--help").assert_ok().err == ""
    assert project.run("hello").assert_ok().out == "hello\n"


def test_a_built_in_command_loads_no_plugin(vox_project, install):
    install("vox-loud", "1.0", {"vox_loud": "raise ImportError('loaded')"})
    assert vox_project().run("recipe", "list").assert_ok().err == ""
    assert vox_project().run("--version").assert_ok().err == ""


def test_everything_holds_in_a_process_of_its_own(vox_project, install, tones):
    site = install("vox-bad", "0.3", {"vox_bad": "1 / 0"})
    install("vox-tones", "1.2", {"vox_tones": tones("vox_tones")})
    result = vox_project().spawn("plugins", "list", env={**os.environ, "PYTHONPATH": str(site)}).assert_ok()
    assert "tones of one pitch" in result.out
    assert "bad is broken: ZeroDivisionError" in result.out
