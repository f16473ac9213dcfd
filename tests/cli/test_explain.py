"""`vox explain`, `vox doctor --list`: every code has its text."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("words", [["R103"], ["r103"], ["warmup-longer-than-run"]])
def test_a_check_is_explained_from_its_docstring(vox_project, words):
    shown = vox_project().run("explain", *words).assert_ok().out
    assert shown.startswith("R103 warmup-longer-than-run\n\nThe warm-up takes most of the run")
    assert "\n\nWhy: during the warm-up" in shown
    assert "\n\nRepair: a share" in shown
    assert "\n\nSources: " in shown
    assert "From:" not in shown


def test_several_codes_of_which_one_is_of_the_recipe(vox_project):
    shown = vox_project().run("explain", "R017,R103", "P006").assert_ok().out
    assert [line for line in shown.splitlines() if line[:1] in "RP" and line[1:4].isdigit()] == [
        "R017 path-missing",
        "R103 warmup-longer-than-run",
        "P006 check-crashed",
    ]
    assert max(len(line) for line in shown.splitlines()) <= 120


def test_for_a_script(vox_project):
    (found,) = json.loads(vox_project().run("explain", "R103", "--json").assert_ok().out)
    assert found["code"] == "R103"
    assert found["name"] == "warmup-longer-than-run"
    assert found["about"] == "recipe"
    assert found["distribution"] == "voxcli"
    assert found["before_training"] is True
    assert found["summary"] in " ".join(found["text"].split())


@pytest.mark.parametrize(
    ("word", "expected"),
    [("R102x", "R10"), ("warmup-longer-then-run", "`warmup-longer-than-run`"), ("zzzz", "`vox doctor --list`")],
)
def test_an_unknown_code_is_answered_with_the_closest(vox_project, word, expected):
    result = vox_project().run("explain", word).assert_code(2)
    assert f"there is no check '{word}'" in result.err
    assert expected in result.err


def test_without_a_code_all_are_listed(vox_project):
    project = vox_project()
    shown = project.run("explain").assert_ok().out
    assert shown == project.run("doctor", "--list").assert_ok().out
    assert [line.split()[0] for line in shown.splitlines()[:1]] == ["code"]
    for code in ("R001", "R019", "R103", "P006"):
        assert f"\n{code}  " in shown
    listed = json.loads(project.run("doctor", "--list", "--json").assert_ok().out)
    assert [one["code"] for one in listed] == [line.split()[0] for line in shown.splitlines()[1:]]
    assert set(listed[0]) == {"code", "name", "about", "distribution", "version", "before_training", "summary"}


def test_some_are_listed(vox_project):
    shown = vox_project().run("doctor", "--list", "--only", "R01,P006", "--skip", "path-missing").assert_ok().out
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["P006", *(f"R01{n}" for n in "01234568"), "R019"]


def test_help(vox_project, vox_snapshot):
    vox_snapshot(vox_project().run("explain", "--help").assert_ok().out, "explain-help.txt")


def test_figures_come_with_their_sources(vox_project):
    from voxcli.doctor.checks.thresholds import LONGEST_WARMUP

    project = vox_project()
    out = project.run("explain", "R103").assert_ok().out
    assert f"- LONGEST_WARMUP = {LONGEST_WARMUP}: Share of a run." in out
    (entry,) = json.loads(project.run("explain", "R103", "--json").assert_ok().out)
    assert any(one.startswith("LONGEST_WARMUP") for one in entry["figures"])
    assert "Figures" not in project.run("explain", "R120").assert_ok().out, "it compares with nothing"
