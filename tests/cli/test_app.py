from __future__ import annotations

import json
import subprocess
import sys

import pytest

import voxcli
from voxcli.cli import app


def test_help(vox_project, vox_snapshot):
    vox_snapshot(vox_project().run("--help").assert_ok().out, "help.txt")


def test_help_of_a_group(vox_project, vox_snapshot):
    vox_snapshot(vox_project().run("recipe", "--help").assert_ok().out, "help_recipe.txt")


def test_no_command_shows_the_help(vox_project):
    result = vox_project().run().assert_code(2)
    assert "Commands:" in result.out + result.err


def test_version(vox_project):
    assert vox_project().run("--version").assert_ok().out == f"voxcli {voxcli.__version__}\n"


def test_an_unknown_command_is_answered_with_the_closest(vox_project):
    result = vox_project().run("trian").assert_code(2)
    assert "No such command 'trian'" in result.err
    assert "'train'" in result.err


def test_an_unknown_option(vox_project):
    assert "No such option" in vox_project().run("recipe", "check", "--jsno").assert_code(2).err


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_summary_in_the_table_is_the_commands_own(name, vox_project):
    shown = vox_project().run(name, "--help").assert_ok().out
    assert app.COMMANDS[name][1].removesuffix(".") in " ".join(shown.split())


COMMAND = """
    import os
    import typer
    from voxcli.api import hookimpl
    from voxcli.errors import DataError, TrainingError

    @hookimpl
    def vox_commands(app):
        @app.command()
        def fail(how: str, json: bool = False):
            \"\"\"End in an error.\"\"\"
            if how == "data":
                raise DataError("a.wav is empty", help="remove it")
            if how == "interrupt":
                raise KeyboardInterrupt
            if how == "code":
                return 3
            if how == "exit":
                raise typer.Exit(4)
            if how == "disk":
                raise OSError(28, "No space left on device", "model.safetensors")
            if how == "read-only":
                raise PermissionError(13, "Permission denied", "out.txt")
            if how == "pipe":
                raise BrokenPipeError
            raise ZeroDivisionError(how)

        @app.command()
        def train():
            \"\"\"Not the real one.\"\"\"

        @app.command()
        def wrong(x: object):
            \"\"\"Cannot be built.\"\"\"

        group = typer.Typer(help="A group.")

        @group.command()
        def one():
            \"\"\"The first.\"\"\"
            print("one")

        @group.command()
        def two():
            \"\"\"The second.\"\"\"

        app.add_typer(group, name="group")
    """


@pytest.fixture
def project(vox_project):
    return vox_project({"more.py": COMMAND})


@pytest.mark.parametrize(
    ("how", "code", "expected"),
    [
        ("data", 1, "error: a.wav is empty\n  = help: remove it\n"),
        ("interrupt", 130, ""),
        ("code", 3, ""),
        ("exit", 4, ""),
        ("disk", 1, "error: model.safetensors: No space left on device\n"),
        ("read-only", 1, "error: out.txt: Permission denied\n"),
        ("pipe", 1, ""),
    ],
)
def test_an_error_becomes_text_and_an_exit_code(project, how, code, expected):
    result = project.run("--plugin", "more.py", "fail", how).assert_code(code)
    assert expected in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_defect_keeps_its_traceback(project):
    with pytest.raises(ZeroDivisionError):
        project.run("--plugin", "more.py", "fail", "defect")


def test_an_error_for_a_script(project):
    result = project.run("--plugin", "more.py", "fail", "data", "--json").assert_code(1)
    expected = {"error": {"type": "DataError", "message": "a.wav is empty", "help": "remove it"}}
    assert json.loads(result.err.splitlines()[-1]) == expected


def test_commands_of_plugins_stand_in_the_help(project):
    result = project.run("--plugin", "more.py", "--help").assert_ok()
    assert "Commands of plugins:\n  fail   End in an error.\n" in result.out
    assert "group" in result.out
    assert project.run("--plugin", "more.py", "group", "one").assert_ok().out == "one\n"


def test_a_name_of_vox_cannot_be_taken(project):
    result = project.run("--plugin", "more.py", "--help").assert_ok()
    assert "adds a command 'train', which is a name of vox itself: left out" in result.err
    assert "Not the real one" not in result.out


def test_a_command_that_cannot_be_built_is_named_and_left_out(project):
    result = project.run("--plugin", "more.py", "--help").assert_ok()
    assert "a command of plugin more cannot be used" in result.err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("recipe check r --plugin a.py -q -- -q", "--plugin a.py -q recipe check r -- -q"),
        ("-v --plugin a.py recipe list --plugin=b.py", "--plugin a.py --plugin=b.py -v recipe list"),
        ("--plugin a.py other -q --plugin b.py", "--plugin a.py other -q --plugin b.py"),
        ("--help --plugin a.py", "--plugin a.py --help"),
        ("train r --plugin", "--plugin train r"),
        ("", ""),
    ],
)
def test_global_options_may_follow_the_command(given, expected):
    assert " ".join(app.hoisted(given.split())) == expected


def test_the_plugin_option_may_follow_the_command(project):
    result = project.run("plugins", "list", "--plugin", "more.py").assert_ok()
    assert "more    more.py" in result.out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "--plugin more.py: there is no such file"),
        ("1 / 0", "--plugin more.py fails to import: ZeroDivisionError"),
        ("def f(:", "--plugin more.py fails to import: SyntaxError"),
        ("raise SystemExit", "--plugin more.py fails to import: SystemExit"),
    ],
)
def test_a_plugin_file_that_cannot_be_used(vox_project, content, expected):
    project = vox_project({} if content is None else {"more.py": content})
    assert f"error: {expected}" in project.run("--plugin", "more.py", "plugins", "list").assert_code(2).err


def test_a_reader_that_goes_away_is_no_error():
    script = (
        "import sys; from voxcli.cli import app, console\n"
        "def many(*a, **k):\n"
        "    for i in range(100000): console.write(str(i))\n"
        "app._run = many\n"
        "sys.exit(app.main([]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"0\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ["warning: w"]),
        (["-q"], []),
        (["-v"], ["warning: w", "info: i"]),
        (["--verbose"], ["warning: w", "info: i"]),
    ],
)
def test_log_lines_by_verbosity(vox_project, flags, expected):
    project = vox_project(
        {
            "talk.py": """
                import logging
                from voxcli.api import hookimpl

                @hookimpl
                def vox_commands(app):
                    @app.command()
                    def talk():
                        log = logging.getLogger("voxcli.talk")
                        log.warning("w")
                        log.info("i")
                """
        }
    )
    err = project.run(*flags, "--plugin", "talk.py", "talk").assert_ok().err
    assert [line for line in err.splitlines() if "plugin file" not in line] == expected
