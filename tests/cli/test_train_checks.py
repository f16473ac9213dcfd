"""`vox train` makes the quick checks first: an error ends the command before anything is spent."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from voxcli.testing import Project

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = {steps}
    per_device_train_batch_size = 2
    learning_rate = 1e-3
    use_cpu = true
    warmup_steps = {warmup}
"""
PLUGIN = """
    import os
    from voxcli.api import Finding, hookimpl

    class Before:
        \"\"\"What the environment says.\"\"\"

        code, name, about, before_training = "ACME001", "acme", "recipe", True

        def run(self, context):
            level = os.environ.get("ACME", "")
            if level == "crash":
                raise ZeroDivisionError("acme")
            if level:
                yield Finding(level, "acme says so", "do as it says", path=("train", "max_steps"))

    class Never(Before):
        code, name, before_training = "ACME002", "acme-late", False

        def run(self, context):
            raise AssertionError("made before training")

    @hookimpl
    def vox_register(registry):
        registry.add("check", "ACME001", f"{__name__}:Before")
        registry.add("check", "ACME002", f"{__name__}:Never")
    """
ACME = ["--plugin", "acme.py"]


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    from voxcli.testing_models import tiny_ctc

    made = vox_project(
        {
            "r.toml": RECIPE.format(warmup=1, steps=2),
            "wrong.toml": RECIPE.format(warmup=90, steps=60),
            "acme.py": PLUGIN,
        }
    )
    made.speech("data", n=4)
    tiny_ctc(made.path / "base")
    return made


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_an_error_ends_the_command_before_anything_is_spent(project, more):
    result = project.run("train", "wrong.toml", *more).assert_code(2)
    assert "error[R103]: the warm-up of 90 steps never ends: the run has 60\n  --> wrong.toml:" in result.err
    assert "--no-doctor trains all the same" in result.err
    assert result.out == ""
    assert not (project.path / "runs").exists()


def test_an_error_for_a_script(project):
    result = project.run("train", "wrong.toml", "--json").assert_code(2)
    told = json.loads(result.err.splitlines()[-1])["error"]
    assert [one["code"] for one in told["findings"]] == ["R103"]
    assert "--no-doctor" in told["help"]


def test_no_doctor_goes_on(project):
    result = project.run("train", "wrong.toml", "--no-doctor", "--dry-run").assert_ok()
    assert "R103" not in result.err


@pytest.mark.parametrize(
    ("level", "said", "helped"),
    [
        ("warning", "warning[ACME001]: acme says so (r.toml:12)", True),
        ("note", "note[ACME001]: acme says so (r.toml:12)", False),
        ("crash", "warning[P006]: the check ACME001 (acme) of acme.py", True),
        ("", "", False),
    ],
)
def test_what_is_no_error_is_said_and_training_goes_on(project, monkeypatch, level, said, helped):
    monkeypatch.setenv("ACME", level)
    result = project.run("train", "r.toml", "--dry-run", "--json", *ACME).assert_ok()
    assert json.loads(result.out)
    assert said in result.err
    assert ("   = help: " in result.err) == helped
    assert "made before training" not in result.err


def test_other_processes_than_the_first_say_nothing(project, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert "R103" not in project.run("train", "wrong.toml", "--dry-run").assert_ok().err


def test_a_resume_is_not_locked_out(project, monkeypatch):
    project.run("train", "r.toml", *ACME).assert_ok()
    monkeypatch.setenv("ACME", "error")
    result = project.run("train", "r.toml", "--resume", *ACME).assert_ok()
    assert "warning[ACME001]: acme says so" in result.err
    project.run("train", "runs/r", "--resume", *ACME).assert_ok()
    assert "error[ACME001]" in project.run("train", "r.toml", "--run-dir", "other", *ACME).assert_code(2).err
