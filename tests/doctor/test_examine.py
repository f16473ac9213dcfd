"""Checks are made one by one: what one of them does costs the others nothing."""

from __future__ import annotations

import json

import pytest

from voxcli.testing import Project

ONLY = ["--only", "ACME,R103,P006", "--plugin", "acme.py"]


def told(project: Project, *more: str, code: int = 0) -> dict:
    result = project.run("doctor", "r.toml", *(more or ONLY), "--json").assert_code(code)
    return json.loads(result.out)


def test_a_check_of_a_plugin_file(acme):
    report = told(acme())
    (finding,) = report["findings"]
    assert (finding["code"], finding["level"], finding["utterances"]) == ("ACME001", "warning", ["u1", "u2"])
    assert (finding["name"], finding["about"]) == ("acme", "recipe")
    assert report["checks"] == {"passed": ["R103"], "failed": ["ACME001"], "skipped": []}
    assert report["counts"] == {"error": 0, "warning": 1, "note": 0}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise NotImplementedError", "NotImplementedError"),
        ("yield 'text'", "TypeError: it yields str, expected Finding"),
        ("yield Finding('fatal', 'm', 'h')", "TypeError: it yields a finding of level 'fatal'"),
        ("context.nothing", "AttributeError: 'Context' object has no attribute 'nothing'"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_crash_in_the_middle_keeps_what_was_found(acme, body, said):
    report = told(acme(body))
    assert [(one["code"], one["level"]) for one in report["findings"]] == [("P006", "warning"), ("ACME001", "warning")]
    crash = report["findings"][0]
    assert crash["message"].startswith("the check ACME001 (acme) of acme.py ")
    assert said in crash["message"]
    assert "--skip ACME001" in crash["help"]
    assert crash["name"] == "check-crashed"
    assert "acme.py:" in crash["where"] or "examine.py:" in crash["where"]
    assert "R103" in report["checks"]["passed"]


def test_what_is_unavailable_after_a_finding_is_no_crash(acme):
    report = told(acme("raise Unavailable('x')"))
    assert [one["code"] for one in report["findings"]] == ["ACME001"]


def test_what_is_unavailable_at_first_is_not_looked_at(acme):
    project = acme(more="\n\nAcme.run = lambda self, context: [context.record]\n")
    report = told(project)
    assert report["findings"] == []
    assert report["checks"]["skipped"] == ["ACME001"]
    assert report["not_looked_at"] == ["ACME001, which needs the log of a run"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("Acme.__init__ = lambda self: 1 / 0", "ZeroDivisionError: division by zero"),
        ("Acme.__init__ = lambda self, x: None", "TypeError"),
        ("Acme.__init__ = lambda self: exit(1)", "SystemExit"),
        ("Acme.about = 'all'", "its `about` is 'all', expected one of machine, plugins, recipe"),
        ("del Acme.about", "its `about` is None"),
        ("del Acme.code", "its `code` is None, expected text"),
        ("Acme.name = 3", "its `name` is 3, expected text"),
        ("del Acme.run", "it has no method `run`"),
    ],
)
def test_a_check_that_cannot_be_used_is_named(acme, more, said):
    report = told(acme(more=f"\n\n{more}\n"))
    (finding,) = report["findings"]
    assert finding["code"] == "P006"
    assert finding["message"].startswith("the check ACME001 of acme.py ")
    assert said in finding["message"]
    assert finding["where"] == "vox_plugin_acme:Acme"


@pytest.mark.parametrize("source", ["import no_such_module", "raise SystemExit", "1 / 0", "def f(:"])
def test_a_check_whose_module_cannot_be_imported_is_named(acme, source):
    project = acme(target="vox_other_checks:Acme")
    project.write({"vox_other_checks.py": source})
    result = project.spawn("doctor", "r.toml", *ONLY, "--json", env=_here(project)).assert_code(0)
    (finding,) = json.loads(result.out)["findings"]
    assert finding["code"] == "P006"
    assert "the check ACME001 of acme.py" in finding["message"]
    assert "vox_other_checks:Acme" in finding["where"]
    skipped = project.spawn("doctor", "r.toml", "--only", "R103", "--json", "--plugin", "acme.py", env=_here(project))
    assert json.loads(skipped.out)["findings"] == []


def test_a_library_that_cannot_be_imported_is_one_finding(acme):
    project = acme("import soxr", more="\n\nclass Second(Acme):\n    code = 'ACME002'\n")
    register = "registry.add('check', 'ACME002', 'vox_plugin_acme:Second')"
    path = project.path / "acme.py"
    path.write_text(path.read_text().replace("(registry):\n", f"(registry):\n    {register}\n"))
    project.write({"soxr.py": "raise OSError('libsoxr.so.0: cannot open shared object file')"})
    result = project.spawn("doctor", "r.toml", *ONLY, "--json", env=_here(project)).assert_code(2)
    report = json.loads(result.out)
    assert [one["code"] for one in report["findings"]] == ["M001", "ACME001", "ACME002"]
    message = "soxr cannot be imported: OSError: libsoxr.so.0: cannot open shared object file"
    assert report["findings"][0]["message"] == message
    assert "soxr.py:1" in report["findings"][0]["where"]


def test_data_that_cannot_be_read_are_said_once(acme):
    more = """

Acme.about = "data"
Acme.run = lambda self, context: list(context.recipe.data[0].utterances("train"))
"""
    project = acme(more=more)
    (project.path / "data" / "manifest.csv").write_text("no,columns\n1,2\n")
    report = told(project, "--only", "ACME,D100,D072", "--plugin", "acme.py", code=2)
    assert [one["code"] for one in report["findings"]] == ["D100"]
    assert set(report["checks"]["skipped"]) == {"ACME001", "D072"}


def _here(project: Project) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(project.path)}


def test_a_crash_is_said_of_machines_too(acme):
    project = acme("1 / 0", more="\n\nAcme.about = 'machine'\n")
    report = json.loads(project.run("doctor", *ONLY, "--json").assert_code(0).out)
    assert "P006" in [one["code"] for one in report["findings"]]


@pytest.mark.parametrize("words", ["P006", "check-crashed", "ACME001", "acme", "acm", "P,A"])
def test_a_crash_can_be_left_out(acme, words):
    report = told(acme("1 / 0"), "--only", "ACME,R103,P006", "--plugin", "acme.py", "--skip", words)
    assert "P006" not in [one["code"] for one in report["findings"]]


def test_ctrl_c_shows_what_was_found_so_far(acme):
    project = acme("raise KeyboardInterrupt")
    result = project.run("doctor", "r.toml", *ONLY).assert_code(130)
    assert "warning[ACME001]: the first" in result.out
    assert "not looked at: " in result.out
    assert "interrupted" in result.out
    report = told(project, *ONLY, code=130)
    assert report["complete"] is False
    assert [(one["code"], one["about"]) for one in report["findings"]] == [("ACME001", "recipe")]


def test_the_order_is_that_of_what_is_looked_at_then_of_levels(acme):
    more = """

def several(self, context):
    yield Finding("note", "a note", "h")
    yield Finding("error", "an error", "h")
    yield Finding("warning", "a machine", "h", code="M001")

Acme.run = several
"""
    report = told(acme(more=more), code=2)
    assert [(one["about"], one["level"]) for one in report["findings"]] == [
        ("machine", "warning"),
        ("recipe", "error"),
        ("recipe", "note"),
    ]
