from __future__ import annotations

import pytest

from voxcli.errors import RecipeError
from voxcli.recipe import load as loading
from voxcli.recipe import render
from voxcli.recipe.problems import Problems


@pytest.fixture
def folder(vox_project, monkeypatch):
    """Write files and stand among them."""

    def make(**files):
        project = vox_project({f"{name}.toml": text for name, text in files.items()})
        monkeypatch.chdir(project.path)
        return project.path

    return make


def load(source, *overrides):
    """(tables, the text of its problems)"""
    problems = Problems()
    try:
        tables = loading.load(source, overrides, problems)
    except RecipeError as error:
        return None, render.findings(error.findings, error.places)
    return tables, render.findings(problems.findings, {**tables.places, **problems.places})


def values(source, *overrides):
    tables, text = load(source, *overrides)
    assert text == ""
    return tables.values


def test_tables_merge_and_the_rest_is_replaced(folder):
    folder(
        parent="a = [1, 2]\n[t]\nx = 1\ny = 2\n[t.deep]\np = 1\nq = 2\n[[data]]\nk = 1\n[[data]]\nk = 2\n",
        child='extends = "parent.toml"\na = [3]\n[t]\ny = 3\n[t.deep]\nq = 4\n[[data]]\nk = 9\n',
    )
    expected = {"a": [3], "t": {"x": 1, "y": 3, "deep": {"p": 1, "q": 4}}, "data": [{"k": 9}]}
    assert values("child.toml") == expected
    places = load("child.toml")[0].places
    assert str(places["t", "x"]) == "parent.toml:3"
    assert str(places["t", "y"]) == "child.toml:4"
    assert str(places["t", "deep", "p"]) == "parent.toml:6"
    assert str(places["data", 0, "k"]) == "child.toml:8"
    assert ("data", 1, "k") not in places


def test_a_value_takes_the_place_of_a_table_and_the_other_way_round(folder):
    folder(parent="[t]\nx = 1\n[u]\ny = 1\n", child='extends = "parent.toml"\nt = 3\n[u.y]\nz = 1\n')
    assert values("child.toml") == {"t": 3, "u": {"y": {"z": 1}}}


def test_unset_drops_what_is_inherited_before_the_child_is_laid_over(folder):
    folder(
        parent="[adapter]\nr = 8\n[train]\na = 1\nb = 2\n[model]\nx = 1\n",
        child='extends = "parent.toml"\nunset = ["adapter", "train.b", "model"]\n[model]\ny = 2\n',
    )
    assert values("child.toml") == {"train": {"a": 1}, "model": {"y": 2}}


def test_unset_of_what_is_not_there(folder):
    folder(parent="[adapter]\nr = 8\n", child='extends = "parent.toml"\nunset = ["adpter"]\n', alone="unset = ['a']\n")
    text = load("child.toml")[1]
    assert "error[R002]: unset names 'adpter', which is not inherited\n  --> child.toml:2\n" in text
    assert "did you mean `adapter`?" in text
    assert "nothing is inherited" in load("alone.toml")[1]


def test_three_generations(folder):
    folder(a="x = 1\ny = 1\nz = 1\n", b='extends = "a.toml"\ny = 2\nz = 2\n', c='extends = "b.toml"\nz = 3\n')
    assert values("c.toml") == {"x": 1, "y": 2, "z": 3}


def test_a_preset_by_its_name(folder):
    folder(child='extends = "whisper-lora-int8"\n')
    tables, text = load("child.toml")
    assert text == ""
    assert tables.values["quantization"] == {"load_in_8bit": True}
    assert str(tables.places["quantization", "load_in_8bit"]).startswith("preset whisper-lora-int8:")


def test_extends_on_the_command_line_takes_the_place_of_the_files(folder):
    folder(a="x = 1\n", b="x = 2\n", c='extends = "a.toml"\n')
    assert values("c.toml", "extends=b.toml") == {"x": 2}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"r": 'extends = "whisper-lora-int4"'}, "there is no preset 'whisper-lora-int4'"),
        ({"r": 'extends = "whisper-lora-int4"'}, "did you mean `whisper-lora-int8`?"),
        ({"r": 'extends = "other.toml"'}, "there is no file 'other.toml'"),
        ({"r": 'extends = ["a", "b"]'}, "expected one name or path"),
        ({"r": 'extends = "r.toml"'}, "recipes extend each other: r.toml -> r.toml"),
        (
            {"r": 'extends = "a.toml"', "a": 'extends = "r.toml"'},
            "recipes extend each other: r.toml -> a.toml -> r.toml",
        ),
        ({"r": 'extends = "a.toml"', "a": "x = \n"}, "a.toml is not TOML"),
        ({"r": 'extends = "a.toml"\nunset = 3', "a": "x = 1\n"}, "unset is 3, expected an array of keys"),
    ],
)
def test_parents_that_cannot_be(folder, files, expected):
    folder(**files)
    assert expected in load("r.toml")[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train.max_steps=100"], {"train": {"max_steps": 100}}),
        (["train.max_steps=100", "train.max_steps=200"], {"train": {"max_steps": 200}}),
        (["augment.0.p=0.2"], {"augment": [{"p": 0.2}, {"p": 2}]}),
        (["~augment.0"], {"augment": [{"p": 2}]}),
        (["~model"], {"model": None}),
        (["~model.deep.k"], {"model": {"deep": {}}}),
        (["model.checkpoint=/runs/a b"], {"model": {"deep": {"k": 1}, "checkpoint": "/runs/a b"}}),
        (
            ["model.checkpoint=openai/whisper-small"],
            {"model": {"deep": {"k": 1}, "checkpoint": "openai/whisper-small"}},
        ),
        (['model.x="3"'], {"model": {"deep": {"k": 1}, "x": "3"}}),
        (["model.x=true"], {"model": {"deep": {"k": 1}, "x": True}}),
        (["model.x=1e-4"], {"model": {"deep": {"k": 1}, "x": 1e-4}}),
        (["model.x=[1, 2]"], {"model": {"deep": {"k": 1}, "x": [1, 2]}}),
        (["model.x={ a = 1 }"], {"model": {"deep": {"k": 1}, "x": {"a": 1}}}),
        (["model.x="], {"model": {"deep": {"k": 1}, "x": ""}}),
        (["model.x=a=b"], {"model": {"deep": {"k": 1}, "x": "a=b"}}),
        (["model.x=1\ny = 2"], {"model": {"deep": {"k": 1}, "x": "1\ny = 2"}}),
        (['text.replace."a.b"=c'], {"text": {"replace": {"a.b": "c"}}}),
        (["model.deep=3"], {"model": {"deep": 3}}),
    ],
)
def test_overrides(folder, arguments, expected):
    folder(r="[model]\ndeep.k = 1\n[[augment]]\np = 1\n[[augment]]\np = 2\n")
    found = values("r.toml", *arguments)
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("train", "error[R008]: 'train' is no override\n  --> command line\n     | train\n"),
        ("other.toml", "only one recipe can be given"),
        ("~adapter", "~adapter removes a key that is not set"),
        ("~modell", "did you mean `model`?"),
        ("augment.2.p=1", "augment has 2 entries, and no '2'"),
        ("augment.x.p=1", "augment has 2 entries, and no 'x'"),
        ("augment.2=1", "augment has 2 entries, and no '2'"),
        ("model.k.z=1", "model.k is a value, not a table"),
        ("model.k=[1", "is not TOML"),
        ("extends=[1", "the value of 'extends=[1' is not TOML"),
        ('model.k="a', "is not TOML"),
    ],
)
def test_overrides_that_cannot_be(folder, argument, expected):
    folder(r="[model]\nk = 1\n[[augment]]\np = 1\n[[augment]]\np = 2\n")
    assert expected in load("r.toml", argument)[1]


def test_places_of_an_array_close_up_after_a_removal(folder):
    folder(r="[[augment]]\np = 1\n[[augment]]\np = 2\n[[augment]]\np = 3\n")
    places = load("r.toml", "~augment.1")[0].places
    assert str(places["augment", 1, "p"]) == "r.toml:6"
    assert ("augment", 2, "p") not in places


def test_a_bom_and_crlf_are_read(folder):
    path = folder() / "r.toml"
    path.write_bytes('﻿# ü\r\nname = "x"\r\n[train]\r\nmax_steps = 3\r\n'.encode())
    tables, text = load("r.toml")
    assert text == ""
    assert tables.values == {"name": "x", "train": {"max_steps": 3}}
    assert str(tables.places["train", "max_steps"]) == "r.toml:4"
    assert tables.places["train", "max_steps"].text == "max_steps = 3"


@pytest.mark.parametrize(
    ("content", "line", "help"),
    [
        ("a = 1\nlowercase = True\n", 2, "true and false are lower case"),
        ("a = 1\n\nmax_steps: 100\n", 3, "TOML writes `key = value`"),
        ("[train\nmax_steps = 100\n", 1, "a section is `[name]`"),
        ("a = 1\nb = \n", 2, "`key = value` under `[section]`"),
        ("checkpoint = openai/whisper\n", 1, "text stands in quotes"),
        ("a = 1\na = 2\n", 2, "a key can be set once"),
        ("[t]\n[t]\n", 2, "a section can be opened once"),
        ('a = """\nnever closed\n', 2, "`key = value`"),
    ],
)
def test_what_is_not_toml_names_its_line_and_the_slip(folder, content, line, help):
    (folder() / "r.toml").write_text(content)
    text = load("r.toml")[1]
    assert text.startswith("error[R001]: r.toml is not TOML: ")
    assert f"  --> r.toml:{line}\n" in text
    assert f"= help: {help}" in text


def test_what_cannot_be_read_at_all(folder):
    here = folder(quick="a = 1\n")
    (here / "latin.toml").write_bytes(b"a = 1\nb = '\xe9'\n")
    (here / "folder").mkdir()
    assert "error[R001]: there is no recipe quik.toml\n   = help: did you mean `quick.toml`?" in load("quik.toml")[1]
    assert "folder is a folder, expected a TOML file" in load("folder")[1]
    assert "latin.toml is not UTF-8" in load("latin.toml")[1]
    assert "--> latin.toml:2" in load("latin.toml")[1]
    assert "did you mean `quickstart`?" in load("quickstar")[1]


def test_a_parent_is_looked_for_beside_the_recipe_and_then_here(vox_project, monkeypatch):
    project = vox_project({"a.toml": "x = 1\n", "in/b.toml": 'extends = "a.toml"\n', "in/a.toml": "x = 2\n"})
    monkeypatch.chdir(project.path)
    assert values("in/b.toml") == {"x": 2}
    (project.path / "in" / "a.toml").unlink()
    assert values("in/b.toml") == {"x": 1}
