"""`vox doctor` as a person runs it: what is on the screen, exit codes, words of the command line."""

from __future__ import annotations

import json
import re
import sys

import pytest
from forked import popen
from planted_checks import CHECKS

from voxcli.testing import Project

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "somewhere/ctc"

    [train]
    max_steps = 100
    batch_duration = 8.0   # s
    learning_rate = 1e-4
    warmup_steps = 0.1
"""
ONLY = ["--only", "ACME", "--plugin", "acme.py"]


@pytest.fixture
def project(vox_project) -> Project:
    made = vox_project({"r.toml": RECIPE, "acme.py": CHECKS})
    made.speech("data", n=4)
    return made


def finds(project: Project, *findings: dict) -> list[str]:
    """The arguments with which the checks ACME001 (recipe) and ACME002 (data) find this."""
    project.write({"findings.json": json.dumps(findings)})
    return ["doctor", "r.toml", *ONLY]


WARNING = {"level": "warning", "message": "the rate is low", "help": "1e-3", "path": ["train", "learning_rate"]}
ERROR = {"level": "error", "message": "no sound", "help": "record anew", "utterances": [f"u{n}" for n in range(12)]}
NOTE = {"level": "note", "message": "it is small", "help": "", "where": "data/manifest.csv:3"}


def test_the_screen(project, vox_snapshot):
    data = {"about": "data"}
    arguments = finds(project, WARNING, NOTE | data, ERROR | data, {"unavailable": True, "about": "audio"})
    vox_snapshot(project.run(*arguments).assert_code(2).out, "doctor-findings.txt")


def test_nothing_found(project):
    assert project.run(*finds(project)).assert_ok().out == "3 checks passed, 0 errors, 0 warnings, 0 notes\n"


@pytest.mark.parametrize(
    ("found", "code", "strict"),
    [([], 0, 0), ([NOTE], 0, 0), ([NOTE, WARNING], 0, 1), ([WARNING, ERROR], 2, 2), ([ERROR], 2, 2)],
)
def test_exit_codes(project, found, code, strict):
    arguments = finds(project, *found)
    project.run(*arguments).assert_code(code)
    project.run(*arguments, "--strict").assert_code(strict)
    project.run(*arguments, "--json", "--strict").assert_code(strict)


def test_a_recipe_that_does_not_resolve(project):
    project.write({"bad.toml": RECIPE.replace("max_steps", "max_stepz").replace('"manifest"', '"manifesto"')})
    result = project.run("doctor", "bad.toml").assert_code(2)
    assert "error[R005]: [train] has no key 'max_stepz'\n  --> bad.toml:12\n  12 | max_stepz = 100\n" in result.out
    assert "error[R004]: no dataset is called 'manifesto'" in result.out
    assert "checks, which need a recipe that resolves" in result.out
    assert "next: vox explain R0" in result.out
    project.run("doctor", "bad.toml", "--skip", "R").assert_code(2)
    told = json.loads(project.run("doctor", "bad.toml", "--json").assert_code(2).out)
    assert {(one["code"], one["file"], one["line"]) for one in told["findings"]} >= {("R005", "bad.toml", 12)}


@pytest.mark.parametrize("given", ["nothing.toml", "nothing", "no/folder"])
def test_a_subject_that_is_not_there(project, given):
    result = project.run("doctor", given).assert_code(2)
    assert given in result.out + result.err


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (["--only", "ACME001"], ["ACME001"]),
        (["--only", "acme00"], ["ACME001", "ACME002", "ACME003"]),
        (["--only", "ACME001, acme-data"], ["ACME001", "ACME002"]),
        (["--only", "ACME001", "--only", "acme-data,acme-audio"], ["ACME001", "ACME002", "ACME003"]),
        (["--only", "ACME", "--skip", "ACME001,acme-audio"], ["ACME002"]),
    ],
)
def test_some_checks(project, words, codes):
    finds(project)
    report = json.loads(project.run("doctor", "r.toml", *words, "--plugin", "acme.py", "--json").assert_ok().out)
    assert report["checks"]["passed"] == codes


def test_no_check_of_these_is_about_it(project):
    shown = project.run("doctor", "r.toml", "--only", "M").assert_ok().out
    assert "0 checks passed" in shown
    assert "not looked at: r.toml: none of these checks is about it" in shown


@pytest.mark.parametrize("option", ["--only", "--skip"])
def test_a_word_that_no_check_is_called(project, option):
    result = project.run("doctor", "r.toml", option, "acme-dato", "--plugin", "acme.py").assert_code(2)
    assert "error: no check is called 'acme-dato'" in result.err
    assert "did you mean `acme-data` or" in result.err


def test_for_a_script(project):
    found = {"fix": {"changes": {"train.learning_rate": 1e-3}, "leave_out": ["u1"]}}
    arguments = finds(project, WARNING | found, ERROR | {"about": "data"}, {"unavailable": True, "about": "audio"})
    result = project.run(*arguments, "--json").assert_code(2)
    report = json.loads(result.out)
    assert set(report) == {
        "voxcli", "subject", "findings", "checks", "counts", "not_looked_at", "complete"
    }  # fmt: skip
    assert report["subject"] == {"name": "r.toml", "kinds": ["recipe"]}
    assert report["counts"] == {"error": 1, "warning": 1, "note": 0}
    assert report["checks"] == {"passed": [], "failed": ["ACME001", "ACME002"], "skipped": ["ACME003"]}
    assert report["complete"] is True
    assert report["findings"][0] == {
        "code": "ACME001",
        "name": "acme-recipe",
        "about": "recipe",
        "level": "warning",
        "message": "the rate is low",
        "help": "1e-3",
        "key": "train.learning_rate",
        "file": "r.toml",
        "line": 14,
        "where": "r.toml:14",
        "utterances": [],
        "fix": {"changes": {"train.learning_rate": 1e-3}, "leave_out": ["u1"]},
    }
    assert report["findings"][1]["utterances"] == [f"u{n}" for n in range(12)]


def test_every_field_of_the_json_is_documented(project):
    from pathlib import Path

    page = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    section = page.split("## JSON")[1].split("## ")[0]
    report = json.loads(project.run(*finds(project, WARNING), "--json").assert_ok().out)
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", section))))
    assert {*report, *report["findings"][0], *report["subject"], *report["checks"]} <= named


def test_the_next_command_keeps_the_options(project):
    fix = {"fix": {"changes": {"train.learning_rate": 1e-3}}}
    arguments = finds(project, WARNING | fix)
    shown = project.run(*arguments, "train.max_steps=90", "--gpu", "8GiB").assert_ok().out
    assert "next: vox doctor r.toml train.max_steps=90 --only ACME --gpu 8GiB --plugin acme.py --fix\n" in shown
    assert "      vox explain ACME001 --plugin acme.py\n" in shown


def test_colour_is_for_terminals(project, monkeypatch):
    from voxcli.cli import console

    assert "\x1b" not in project.run(*finds(project, WARNING)).assert_ok().out
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert console.paint("x", "bold red") == "x"  # NO_COLOR is set
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    assert console.paint("x", "bold red") == "\x1b[1;31mx\x1b[0m"
    monkeypatch.setenv("TERM", "dumb")
    assert console.paint("x", "bold red") == "x"


class Terminal:
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_ctrl_c_in_a_process_of_its_own(project):
    import signal
    import time

    finds(project, WARNING, {"about": "data", "sleep": 60})
    process = popen(project, "doctor", "r.toml", *ONLY)
    deadline = time.monotonic() + 60
    while not (project.path / "sleeping").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "warning[ACME001]: the rate is low" in out
    assert "interrupted" in out
    assert "Traceback" not in err


def test_help(vox_project, vox_snapshot):
    vox_snapshot(vox_project().run("doctor", "--help").assert_ok().out, "doctor-help.txt")
