"""`vox plugins new`: every kind renders to a whole distribution, in the style that it asks of itself."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import voxcli
from voxcli.api import KINDS as API_KINDS
from voxcli.plugins.new import LICENSES, LONGEST, NewPlugin
from voxcli.plugins.template import KINDS, files, range_of
from voxcli.testing import Project

ROOT = Path(__file__).resolve().parents[2]
Factory = Callable[..., Project]
MOST = 30  # lines of code of a component
LONG = "a" * LONGEST


def made(
    *kinds: str, name: str = "foo", license: str = "Apache-2.0", author: str = "Ada", description: str = "X."
) -> dict[str, str]:
    return files(NewPlugin(name, kinds, description, author, license))  # type: ignore[arg-type]


def code_lines(text: str) -> int:
    """As the script that travels the whole path counts them."""
    spec = importlib.util.spec_from_file_location("third_party_path", ROOT / "scripts" / "third_party_path.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        return int(module.code_lines(text))
    finally:
        del sys.modules[spec.name]


def test_every_kind_has_a_template() -> None:
    assert set(KINDS) == set(API_KINDS)


def test_lines_of_code_are_counted_without_comments_and_docstrings() -> None:
    text = '"""A\nmodule."""\n\n# comment\nA = """a\nb"""  # c\n\n\n'
    text += 'def f(\n    a,\n):\n    """Two\n    lines."""\n    return a\n'
    assert code_lines(text) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_is_small(kind: str) -> None:
    text = made(kind)[f"src/vox_foo/{kind}.py"]
    assert "class Foo" in text
    assert code_lines(text) < MOST


def test_what_is_written_is_in_style(tmp_path: Path) -> None:
    """Of one kind, of all together, and with names of any length."""
    plugins = [made(kind, name=f"one-{kind}") for kind in KINDS]
    plugins += [made(*KINDS, name=name) for name in ("a", LONG, "path", "none", "any")]
    for number, plugin in enumerate(plugins):
        for path, text in plugin.items():
            (tmp_path / str(number) / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / str(number) / path).write_text(text, encoding="utf-8")
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
            assert "$" not in text.replace("${{", "").replace("${GITHUB_REF_NAME", ""), path
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_pyproject_says_what_it_is() -> None:
    plugin = made("check", "model", description='A "quoted" é.', author="Ada Lovelace <ada@example.org>", license="MIT")
    pyproject = tomllib.loads(plugin["pyproject.toml"])
    project = pyproject["project"]
    assert (project["name"], project["description"], project["license"]) == ("vox-foo", 'A "quoted" é.', "MIT")
    assert project["authors"] == [{"name": "Ada Lovelace", "email": "ada@example.org"}]
    assert project["dependencies"] == [f"voxcli{range_of(voxcli.__version__)}"]
    assert project["entry-points"]["voxcli"] == {"foo": "vox_foo"}
    assert plugin["LICENSE"].startswith("MIT License\n\nCopyright (c) 20")
    assert "Ada Lovelace\n" in plugin["LICENSE"]
    assert '"FOO001",\n        "vox_foo.check:Foo",' in plugin["src/vox_foo/__init__.py"]


@pytest.mark.parametrize("author", ["<ada@example.org>", "ada@example.org"])
def test_an_author_who_gives_an_address_alone(author: str) -> None:
    plugin = made("check", author=author, license="MIT")
    assert tomllib.loads(plugin["pyproject.toml"])["project"]["authors"] == [{"email": "ada@example.org"}]
    assert " ada@example.org\n" in plugin["LICENSE"]


@pytest.mark.parametrize("description", ["A hum", "A hum."])
def test_the_readme_begins_with_a_sentence(description: str) -> None:
    assert "\nA hum. A plugin of" in made("check", description=description)["README.md"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0", ">=0.1.0,<0.2"),
        ("0.12.3", ">=0.12.3,<0.13"),
        ("1.4.0", ">=1.4.0,<2"),
        ("0.2.0.dev1+local", ">=0.2.0.dev1,<0.3"),
    ],
)
def test_the_versions_of_voxcli(version: str, expected: str) -> None:
    assert range_of(version) == expected


def test_the_licence_is_that_of_voxcli() -> None:
    assert LICENSES[0] == "Apache-2.0"
    assert made("check")["LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_workflows_are_yaml_and_only_the_upload_may_ask_for_a_token() -> None:
    yaml = pytest.importorskip("yaml")
    plugin = made("check")
    tests = yaml.safe_load(plugin[".github/workflows/ci.yml"])["jobs"]["test"]
    assert tests["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    workflow = yaml.safe_load(plugin[".github/workflows/publish.yml"])
    jobs = workflow["jobs"]
    allowed = {name: job.get("permissions", workflow["permissions"]) for name, job in jobs.items()}
    assert allowed == {"build": {"contents": "read"}, "try": {"id-token": "write"}, "publish": {"id-token": "write"}}
    assert jobs["publish"]["environment"]["name"] == "pypi"
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]


# --------------------------------------------------------------------------------------------------------- the command


def test_the_tree_and_what_to_do_next(vox_project: Factory) -> None:
    project = vox_project()
    shown = project.run("plugins", "new", "vox-foo", "--kind", "augmentation").assert_ok().out
    assert (project.path / "vox-foo" / "src" / "vox_foo" / "augmentation.py").is_file()
    assert "  src/\n    vox_foo/\n      __init__.py\n      augmentation.py\n  tests/\n" in shown
    assert shown.rstrip().endswith("vox plugins info vox-foo")


def test_json_and_another_folder(vox_project: Factory) -> None:
    project = vox_project()
    command = ["plugins", "new", "two-words", "--kind", "task", "--kind", "check", "--out", "below/here", "--json"]
    facts = json.loads(project.run(*command).assert_ok().out)
    assert (facts["distribution"], facts["module"]) == ("vox-two-words", "vox_two_words")
    components = [(one["kind"], one["name"]) for one in facts["components"]]
    assert components == [("task", "two-words"), ("model", "two-words-classifier"), ("check", "TWOWORDS001")]
    written = [path for path in (project.path / "below" / "here").rglob("*") if path.is_file()]
    assert len(written) == len(facts["files"])
    assert not list((project.path / "below").glob(".*"))


def test_a_folder_beside_it_is_kept_and_one_with_a_space_is_quoted(vox_project: Factory) -> None:
    project = vox_project({".my hum.partial/mine": "kept"})
    shown = project.run("plugins", "new", "hum", "--kind", "check", "--out", "my hum").assert_ok().out
    assert "cd 'my hum'\n" in shown
    assert (project.path / ".my hum.partial" / "mine").read_text() == "kept"
    assert sorted(path.name for path in project.path.iterdir()) == [".my hum.partial", "my hum"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["Vox_Foo", "--kind", "check"], "'Vox_Foo' is no name for a plugin"),
        (["vox-", "--kind", "check"], "'vox-' is no name for a plugin"),
        (["3d", "--kind", "check"], "a letter first: vox-d"),
        (["a" * (LONGEST + 1), "--kind", "check"], "is too long"),
        (["foo"], "--kind is missing"),
        (["foo", "--kind", "datset"], "did you mean `dataset`?"),
        (["gain", "--kind", "augmentation"], "voxcli has an augmentation called 'gain' already"),
        (["foo", "--kind", "check", "--author", "a\nb"], "is not one line of text"),
        (["foo", "--kind", "check", "--out", "there"], "there exists already"),
        (["foo", "--kind", "check", "--out", "there/file/foo"], "cannot be written"),
    ],
)
def test_what_cannot_be_made_is_refused(vox_project: Factory, arguments: list[str], expected: str) -> None:
    project = vox_project({"there/file": "kept"})
    refused = project.run("plugins", "new", *arguments).assert_code(2)
    assert expected in refused.err
    assert sorted(path.name for path in project.path.rglob("*")) == ["file", "there"]
    assert (project.path / "there" / "file").read_text() == "kept"


def test_a_distribution_that_is_installed_is_refused(vox_project: Factory, install: Callable[..., Path]) -> None:
    install("vox-foo", "1.2", {"vox_foo": ""})
    refused = vox_project().run("plugins", "new", "foo", "--kind", "check").assert_code(2)
    assert "vox-foo 1.2 is installed already" in refused.err


def test_keys_that_a_component_inherits_have_their_help() -> None:
    from voxcli.api import config
    from voxcli.models.ctc import CTC
    from voxcli.recipe.validate import described

    @config
    class Own(CTC):
        """A family with a key more."""

        every: int = 2
        """Which layers stay."""
        freeze_layers: int = 1

    assert described(Own, "freeze_feature_encoder") == described(CTC, "freeze_feature_encoder")
    assert described(Own, "freeze_layers") == described(CTC, "freeze_layers")
    assert described(CTC, "every") is None


def test_a_field_that_the_class_sets_itself_is_no_key() -> None:
    from voxcli.api import config
    from voxcli.recipe.validate import defaults, field_names, json_schema

    @config
    class Own:
        """Doubles."""

        every: int = 2
        twice: int = dataclasses.field(default=0, init=False)

    assert defaults(Own()) == {"every": 2}
    assert field_names(Own) == tuple(json_schema(Own)["properties"]) == ("every",)
