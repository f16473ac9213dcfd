"""Every component of voxcli honours the contract that plugins are held to, and `vox plugins check` says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builtin_examples import examples

from voxcli.api import KINDS
from voxcli.contract import examine
from voxcli.contract.target import find, registered
from voxcli.testing import Project, check_plugin

TRIALS = {
    "dataset": "reading the first recordings",
    "augmentation": "silence and clips of a few samples",
    "model": "clips of the least and of the greatest length",
    "task": "the loss of a batch and of its rows",
    "backend": "two steps of a tiny model",
    "decoder": "noise, twice",
    "engine": "three recordings",
    "exporter": "tiny models",
}
"""The last thing that is tried of a component where everything before it went well."""


def test_every_component_keeps_its_contract(tmp_path: Path) -> None:
    """In one test: models, data and a run are made once for all of them."""
    report = examine("voxcli", examples=examples(tmp_path))
    assert report.remarks == [], report.text()
    labels = [f"{one.kind}/{one.name}" for one in registered(find("voxcli"))[0].added]
    tried = {(one.component, one.what) for one in report.tried}
    last = {label: TRIALS[label.partition("/")[0]] for label in labels if not label.startswith("check/")}
    assert [label for label, what in last.items() if (label, what) not in tried] == []
    assert {component for component, _ in tried} == {"plugin", *labels}
    assert {label.partition("/")[0] for label in labels} == set(KINDS)


ONE_FILE = '''
"""A plugin of one file."""

from voxcli.api import config, hookimpl


@config
class Half:
    """Halves every sample."""

    p: float = 0.5
    """Share of the training utterances."""

    def __call__(self, audio, sampling_rate, rng):
        audio {operator} 2
        return audio

    def longest(self, duration):
        return duration


@hookimpl
def vox_register(registry):
    registry.add("augmentation", "half", f"{__name__}:Half", summary="half as loud")
'''


@pytest.fixture
def project(vox_project) -> Project:
    wrong = ONE_FILE.replace("{operator}", "*=")
    right = ONE_FILE.replace("audio {operator} 2\n        return audio", "return audio / 2")
    return vox_project({"wrong.py": wrong, "right.py": right})


def test_vox_plugins_check_says_what_was_tried(project: Project) -> None:
    found = project.run("plugins", "check", "right.py").assert_ok()
    assert found.out.startswith("right.py: no problems\n\ntried, in ")
    assert "augmentation/half" in found.out
    assert "trying augmentation/half" in found.err


def test_vox_plugins_check_ends_with_1_where_there_is_a_problem(project: Project) -> None:
    found = project.run("plugins", "check", "wrong.py").assert_code(1)
    assert "problem: augmentation/half [input-changed]\n  found:" in found.out
    assert "repair:   work on a copy: audio = audio.copy()" in found.out
    told = json.loads(project.run("plugins", "check", "wrong.py", "--json").assert_code(1).out)
    assert next((one["component"], one["rule"]) for one in told["problems"]) == ("augmentation/half", "input-changed")
    assert (told["untried"], told["notes"]) == ([], [])
    with pytest.raises(AssertionError, match=r"wrong\.py.*: .*problem(.|\n)*work on a copy"):
        check_plugin(project.path / "wrong.py")


def test_examples_of_the_command_line(project: Project) -> None:
    check = ("plugins", "check", "right.py", "--json")
    told = json.loads(project.run(*check, "--example", "augmentation/half.p=2").assert_code(1).out)
    assert [one["found"] for one in told["problems"]] == ["p is 2.0"]
    wrong = project.run(*check, "--example", "augmentation/half").assert_code(2)
    assert "KIND/NAME.KEY=VALUE" in wrong.err
    unknown = project.run(*check, "--example", "augmentation/third.p=1").assert_code(2)
    assert "no component 'augmentation/third'" in unknown.err


def test_a_plugin_that_is_not_there(project: Project) -> None:
    found = project.run("plugins", "check", "vox-nowhere").assert_code(2)
    assert "there is no plugin 'vox-nowhere'" in found.err
    with pytest.raises(Exception, match="there is no plugin file"):
        check_plugin(Path("nowhere.py"))
